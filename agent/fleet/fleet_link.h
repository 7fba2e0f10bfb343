#pragma once
// The link to the fleet: MQTT 5 or 3.1.1. Subscribes to what is meant for this device, announces
// presence, publishes the reported state. Never the reason a workload stops. Topics and payloads:
// docs/topics.md.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace wherry {

struct FleetOptions {
  std::string device_id;
  std::vector<std::string> groups;
  std::string boot_id;  // in presence
  std::vector<std::string> brokers;
  int version = 5;  // 5, or 4 for 3.1.1
  std::string topic_prefix, client_id, username, password_file, ca_file, cert_file, key_file;
  Duration keepalive, session_expiry, reconnect_min, reconnect_max;
  // From the first SYN to CONNACK; then the next broker's turn.
  Duration connect_timeout = std::chrono::seconds(20);
};

struct DesiredMessage {
  std::string source;   // "devices/<id>" or "groups/<g>"
  std::string payload;  // bounded: a larger one arrives cut to kMaxDocumentBytes + 1
};

struct LinkStatus {
  bool connected = false;
  std::string broker;  // the one connected to or tried last
  // CamelCase: why it is not connected (ConnectionRefused, NotAuthorized, DnsLookupFailed,
  // TlsError, Timeout, ProtocolError, InvalidBroker …), or SubscriptionRefused while it is. Else
  // empty.
  std::string reason;
  std::string message;  // the same in a sentence, with what to do
  WallTime since{};
};

// Callbacks come on the link's own thread, never after stop() has returned: bound and enqueue,
// nothing else.
struct FleetHandlers {
  std::function<void(DesiredMessage)> on_desired;
  std::function<void(const LinkStatus&)> on_status;
};

class FleetLink {
 public:
  virtual ~FleetLink() = default;
  // Returns at once; connects, and reconnects for ever, in the background.
  virtual void start() = 0;
  // The latest wins: while offline only the newest is kept and sent after the connect.
  virtual void publish_reported(std::string json) = 0;
  virtual LinkStatus status() const = 0;
  // Sends what is pending and presence offline (bounded by `timeout`), then disconnects.
  virtual void stop(Duration timeout) = 0;
};

std::unique_ptr<FleetLink> make_mqtt_link(FleetOptions options, FleetHandlers handlers,
                                          const Clock& clock);

}  // namespace wherry
