#pragma once
// An MQTT 5 broker that does what it is told, however odd: acknowledges late, in another order or
// never, and sends what nobody asked for. Real brokers do none of it on demand.

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/mqtt_client.h"

namespace wherry::test {

// One connection at a time, on a free port of 127.0.0.1; keeps no session. Thread-safe.
class ScriptedBroker {
 public:
  ScriptedBroker();
  ~ScriptedBroker();
  ScriptedBroker(const ScriptedBroker&) = delete;
  ScriptedBroker& operator=(const ScriptedBroker&) = delete;

  std::string url() const;
  int connections() const;  // that said CONNECT so far
  // Subscriptions are acknowledged on the present connection.
  bool subscribed() const;
  // Messages that came since the last time, with QoS 1 all of them.
  std::vector<MqttMessage> take();

  // On: messages are not acknowledged any more. Off: those held are, and all that follow.
  void hold(bool on);
  // Those held on this connection with `part` in their topic, in the order they came.
  std::vector<uint16_t> held(const std::string& part = "") const;
  size_t held_bytes() const;  // … their payloads
  void acknowledge(uint16_t id);
  // Any bytes, to the present connection.
  void send(const std::string& packet);
  void cut();

  static std::string publish_packet(const std::string& topic, const std::string& payload,
                                    uint16_t id);
  static std::string acknowledgement(uint16_t id);  // PUBACK
  static std::string refusal(uint16_t id);          // the same with "not authorized"
  // Acknowledgements by the client of what was sent to it.
  std::vector<uint16_t> acknowledged() const;

 private:
  struct Held {
    uint16_t id = 0;
    std::string topic;
    size_t bytes = 0;
  };
  void run();
  void serve(int fd);
  void answer(unsigned type, std::string_view body, int fd);
  void take_message(std::string_view body, int fd);
  static void write(int fd, const std::string& bytes);

  int listener_ = -1, port_ = 0;
  mutable std::mutex mutex_;
  int connection_ = -1;
  int connections_ = 0;
  bool subscribed_ = false, holding_ = false, stopping_ = false;
  std::vector<Held> held_;
  std::vector<MqttMessage> messages_;
  std::vector<uint16_t> acknowledged_;
  std::thread thread_;
};

}  // namespace wherry::test
