#pragma once
// The fleet manager's side: publishes, and remembers what arrives.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/wait.h"

namespace wherry::test {

struct MqttMessage {
  std::string topic;
  std::string payload;
  bool retained = false;
  int qos = 0;
  std::string content_type;  // MQTT 5
  std::string correlation;   // MQTT 5 correlation data
  std::chrono::steady_clock::time_point at;
};

struct MqttPublish {
  bool retained = false;
  int qos = 1;
  std::string response_topic{};  // MQTT 5
  std::string correlation{};     // MQTT 5
};

struct MqttClientOptions {
  std::string username{}, password{};
};

// One MQTT 5 connection to 127.0.0.1:`port`; not made again when it is lost. Throws
// std::runtime_error when the broker does not answer in time. Thread-safe.
class MqttClient {
 public:
  explicit MqttClient(int port, const MqttClientOptions& options = {});
  ~MqttClient();
  MqttClient(const MqttClient&) = delete;
  MqttClient& operator=(const MqttClient&) = delete;

  // Returns when the broker has acknowledged.
  void subscribe(const std::string& filter, int qos = 1);
  void publish(const std::string& topic, const std::string& payload,
               const MqttPublish& options = {});
  void publish_retained(const std::string& topic, const std::string& payload) {
    publish(topic, payload, {.retained = true});
  }

  // The first message since clear() that satisfies `wanted`, waiting for it if need be.
  std::optional<MqttMessage> wait_for(const std::function<bool(const MqttMessage&)>& wanted,
                                      Millis timeout = kPatience);
  std::vector<MqttMessage> messages() const;
  // The newest of `topic` so far.
  std::optional<MqttMessage> last(const std::string& topic) const;
  void clear();
  // All messages since the last clear() or take(), and forgets them.
  std::vector<MqttMessage> take();
  // Until the connection is lost: from then on no message comes. False at the deadline.
  [[nodiscard]] bool wait_lost(Millis timeout = kPatience);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wherry::test
