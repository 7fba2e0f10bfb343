#include "agent/fleet/broker_url.h"

#include <charconv>

namespace wherry {
namespace {

tl::unexpected<Error> bad(std::string_view text, std::string_view what) {
  return fail(Code::InvalidArgument,
              "broker \"" + std::string(text) + "\": " + std::string(what) +
                  "; write mqtt://host:1883 or mqtts://host:8883",
              "InvalidBroker");
}

}  // namespace

Result<BrokerUrl> parse_broker_url(std::string_view text) {
  BrokerUrl url;
  url.text = std::string(text);
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad(text, "has no scheme");
  const std::string_view scheme = text.substr(0, colon);
  if (scheme == "ws" || scheme == "wss") {
    return fail(Code::Unimplemented,
                "broker \"" + url.text +
                    "\": MQTT over WebSocket is not supported yet; use mqtt:// or mqtts://",
                "InvalidBroker");
  }
  if (scheme != "mqtt" && scheme != "mqtts") return bad(text, "has an unknown scheme");
  url.tls = scheme == "mqtts";
  url.port = url.tls ? 8883 : 1883;

  std::string_view rest = text.substr(colon + 3);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('@') != std::string_view::npos)
    return bad(text, "must not hold credentials (set mqtt.username and mqtt.password_file)");
  if (rest.find_first_of("/?# ") != std::string_view::npos)
    return bad(text, "must not have a path");

  std::string_view port;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return bad(text, "has an unclosed bracket");
    url.host = std::string(rest.substr(1, end - 1));
    port = rest.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return bad(text, "has no valid port");
  } else {
    const size_t separator = rest.find(':');
    url.host = std::string(rest.substr(0, separator));
    if (separator != std::string_view::npos) port = rest.substr(separator);
    if (port.find(':', 1) != std::string_view::npos)
      return bad(text, "needs brackets around its IPv6 address");
  }
  if (url.host.empty()) return bad(text, "has no host");
  if (port.empty()) return url;
  port.remove_prefix(1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (error != std::errc() || end != port.data() + port.size() || url.port < 1 || url.port > 65535)
    return bad(text, "has no valid port");
  return url;
}

}  // namespace wherry
