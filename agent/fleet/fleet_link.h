#pragma once
// The link to the fleet: MQTT 5 or 3.1.1. Subscribes to what is meant for this device, announces
// presence, publishes the reported state. Never the reason a workload stops. Topics and payloads:
// docs/topics.md.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/fleet/certificate_watch.h"
#include "agent/fleet/traffic.h"
#include "agent/manifest/document.h"
#include "agent/signing/jws.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry {

// Bytes of a message to this device: as much as a signed document may have.
inline constexpr size_t kMaxMessageBytes = signed_size(kMaxDocumentBytes);

struct FleetOptions {
  std::string device_id;
  std::vector<std::string> groups;
  std::string boot_id;  // in presence
  std::vector<std::string> brokers;
  int version = 5;  // 5, or 4 for 3.1.1
  std::string topic_prefix, client_id, username, password_file;
  std::string ca_file, cert_file, key_file, alpn;  // see TlsOptions
  Duration keepalive, session_expiry, reconnect_min, reconnect_max;
  // From the first SYN to CONNACK; then the next broker's turn.
  Duration connect_timeout = std::chrono::seconds(20);
  std::shared_ptr<Traffic> traffic{};  // counts what goes over the link; may be null
  std::string socket_dir = "/tmp";     // where a unix socket may be made for a moment
  // After the broker has refused presence or the reported state.
  Duration refused_retry = std::chrono::minutes(1);
  // What the broker leaves unanswered for so long ends the connection, as only another one may
  // repeat it (MQTT 5, 4.4). Doubled, up to a day, while that keeps happening.
  Duration answer_timeout = std::chrono::minutes(10);
  // Between two looks at files of certificates. While the link is up they are part of its own
  // wake-ups.
  Duration certificate_look = std::chrono::seconds(5);
};

struct DesiredMessage {
  std::string source;   // "devices/<id>" or "groups/<g>"
  std::string payload;  // bounded: a larger one arrives cut to kMaxMessageBytes + 1
};

// A message of the device's own, to a topic below devices/<id>/. QoS 1, not retained.
struct OutboundMessage {
  uint64_t session = 0;  // as on_session said it; dropped where that connection is gone
  uint64_t ticket = 0;   // comes back in on_acknowledged
  std::string topic;     // "events", "data/web/temperature"
  std::string payload, content_type;
};

struct CommandMessage {
  std::string source;   // "devices/<id>" or "groups/<g>"
  std::string request;  // the topic's last part
  std::string payload;  // bounded as that of a DesiredMessage
  // MQTT 5; empty where absent. Always the name of a topic that may be published to.
  std::string response_topic, correlation;
  bool retained = false;
};

// QoS 1, not retained; to `response_topic`, or devices/<id>/responses/<request> where it is empty.
struct CommandAnswer {
  uint64_t ticket = 0;  // comes back in on_answered; 0: nobody waits for it
  std::string request, response_topic, correlation, payload;
};

struct LinkStatus {
  bool connected = false;
  std::string broker;  // the one connected to or tried last
  // CamelCase: why it is not connected (ConnectionRefused, NotAuthorized, DnsLookupFailed,
  // BrokerCertificateExpired, Timeout, Unanswered, ProtocolError …), or SubscriptionRefused
  // or PublishRefused while it is. Else empty.
  std::string reason;
  std::string message;  // the same in a sentence, with what to do
  WallTime since{};
  // Where there are files of certificates and a broker to use them with.
  std::optional<CertificateStatus> certificate{};
};

enum class SessionChange {
  Begun,
  Lost,
  HungUp,  // by the broker, as it does over a message that it will not have
};

// Callbacks come on the link's own thread, never after stop() has returned: bound and enqueue,
// nothing else.
struct FleetHandlers {
  std::function<void(DesiredMessage)> on_desired;
  std::function<void(const LinkStatus&)> on_status;
  std::function<void(CommandMessage)> on_command;
  // The broker has acknowledged an answer, or refused it for good.
  std::function<void(uint64_t ticket)> on_answered;
  // A connection can be published on, or is gone: what was not acknowledged may not have arrived.
  // Numbers of sessions grow.
  std::function<void(uint64_t session, SessionChange change)> on_session;
  // Of a message of the present session; `accepted`: the broker has it now.
  std::function<void(uint64_t ticket, bool accepted)> on_acknowledged;
};

class FleetLink {
 public:
  virtual ~FleetLink() = default;
  // Returns at once; connects, and reconnects for ever, in the background.
  virtual void start() = 0;
  // The latest wins: while offline only the newest is kept and sent after the connect.
  virtual void publish_reported(std::string json) = 0;
  // Queued and sent in order; the caller bounds how many are in flight.
  virtual void publish(OutboundMessage message) = 0;
  // Kept until a broker acknowledges it, across connections. False where too many wait already: it
  // is then dropped.
  virtual bool answer(CommandAnswer answer) = 0;
  virtual LinkStatus status() const = 0;
  // Sends the reported state and answers that are pending, and presence offline (bounded by
  // `timeout`), then disconnects.
  virtual void stop(Duration timeout) = 0;
};

std::unique_ptr<FleetLink> make_mqtt_link(FleetOptions options, FleetHandlers handlers,
                                          const Clock& clock);

}  // namespace wherry
