#pragma once
// One connection to one broker, on libmosquitto, driven by its owner's poll(2) loop. The library
// speaks to the network itself where it is plain TCP, else through a BrokerChannel.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/fleet/broker_url.h"
#include "agent/fleet/tls_stream.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry {

struct SessionOptions {
  BrokerUrl broker;
  int version = 5;  // 5, or 4 for 3.1.1
  std::string client_id, username, password;
  TlsOptions tls;                        // mqtts and wss only
  std::string socket_dir = "/tmp";       // for the moment of a connect by mqtts, ws or wss
  Duration keepalive{};                  // 0: none; else whole seconds from 5 to 65535
  Duration session_expiry{};             // 0: the session ends with the connection
  std::string will_topic, will_payload;  // QoS 1, retained
  size_t max_payload = 0;                // longer ones are cut to this many bytes
  // Told of each message with the size of topic and payload, a longer one's as it came. May be
  // empty.
  std::function<void(std::string_view topic, size_t bytes, bool sent)> on_traffic{};
};

struct SessionConnected {
  bool session_present = false;
};
struct SessionMessage {
  std::string topic, payload;
  std::string response_topic, correlation;  // MQTT 5; empty when absent
  bool retained = false;                    // the broker had kept it before this device subscribed
};
struct SessionPublished {
  int id = 0;
  Status accepted;  // not so when an MQTT 5 broker answers with an error
};
struct SessionSubscribed {
  std::vector<size_t> refused;  // places in the list given to subscribe()
};
using SessionEvent =
    std::variant<SessionConnected, SessionMessage, SessionPublished, SessionSubscribed>;

struct PublishProperties {  // MQTT 5; left out with 3.1.1
  std::string correlation = {};
  std::string content_type = "application/json";
};

// Not thread-safe. After any error the connection is over: destroy the session.
class MqttSession {
 public:
  // Resolves the broker's name (which blocks for as long as the resolver does) and begins to
  // connect, without waiting for it. Certificates must be valid `now`.
  static Result<std::unique_ptr<MqttSession>> open(const SessionOptions& options, ClientKeys& keys,
                                                   WallTime now);
  ~MqttSession();
  MqttSession(const MqttSession&) = delete;
  MqttSession& operator=(const MqttSession&) = delete;

  int fd() const;  // may be another one after each step()
  short poll_events() const;
  // What poll(2) returned for fd(); does what can be done without waiting.
  Status step(short revents);
  // Sends a ping when one is due, notices one that was not answered. Call it every few seconds.
  Status keep_alive();
  std::vector<SessionEvent> take_events();

  // All with QoS 1. The id comes back in SessionPublished.
  Result<int> publish(const std::string& topic, const std::string& payload, bool retain,
                      const PublishProperties& properties = {});
  Status subscribe(const std::vector<std::string>& filters);
  Status unsubscribe(const std::string& filter);
  // Takes orderly leave: the broker drops the will. The session is over.
  void disconnect();

 private:
  struct Impl;
  explicit MqttSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wherry
