#include "agent/fleet/session_options.h"

#include <utility>

#include "agent/fleet/payloads.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry {

TlsOptions tls_options(const FleetOptions& options) {
  return {options.ca_file, options.cert_file, options.key_file, options.alpn};
}

Result<SessionOptions> session_options(const FleetOptions& options, const Topics& topics,
                                       const std::string& broker, WallTime now) {
  Result<BrokerUrl> url = parse_broker_url(broker);
  if (!url) return fail(url.error());
  SessionOptions session;
  session.broker = std::move(*url);
  session.version = options.version;
  session.client_id = options.client_id.empty() ? options.device_id : options.client_id;
  session.username = options.username;
  session.tls = tls_options(options);
  session.socket_dir = options.socket_dir;
  session.keepalive = options.keepalive;
  session.session_expiry = options.session_expiry;
  session.will_topic = topics.presence();
  session.will_payload = presence_payload(false, now, options.boot_id);
  session.max_payload = kMaxMessageBytes + 1;
  if (options.traffic) {
    session.on_traffic = [traffic = options.traffic, &topics](std::string_view topic, size_t bytes,
                                                              bool sent) {
      const TopicClass known = topics.class_of(topic);
      if (!sent) return traffic->count_received(known, bytes);
      // What goes elsewhere answers a command that asked for it.
      traffic->count_sent(known == TopicClass::Other ? TopicClass::Responses : known, bytes);
    };
  }
  if (options.password_file.empty()) return session;
  if (Status safe = check_private_file(options.password_file, "PasswordFileInsecure",
                                       "PasswordFileUnreadable");
      !safe) {
    return fail(safe.error(), "mqtt.password_file");
  }
  Result<std::string> password = read_file(options.password_file, 64u << 10);
  if (!password)
    return fail(
        password.error().wrap("read mqtt.password_file").with_reason("PasswordFileUnreadable"));
  session.password = std::string(trim(*password));
  return session;
}

}  // namespace wherry
