#include "agent/fleet/broker_url.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace wherry {
namespace {

struct Scheme {
  std::string_view name;
  int port;
  bool tls, websocket;
};
constexpr Scheme kSchemes[] = {{"mqtt", 1883, false, false},
                               {"mqtts", 8883, true, false},
                               {"ws", 80, false, true},
                               {"wss", 443, true, true}};
constexpr std::string_view kUsualPath = "/mqtt";

tl::unexpected<Error> bad(std::string_view text, std::string_view what) {
  return fail(Code::InvalidArgument,
              "broker \"" + url_without_secrets(text) + "\": " + std::string(what) +
                  "; write mqtt://host:1883, mqtts://host:8883 or wss://host:443/mqtt",
              "InvalidBroker");
}

// What may stand in a request line and in a log.
bool is_path(std::string_view path) {
  return std::all_of(path.begin(), path.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("/-._~%").find(c) != std::string_view::npos;
  });
}

Status take_path(BrokerUrl& url, std::string_view& rest) {
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) {
    if (url.websocket) url.path = kUsualPath;
    return {};
  }
  const std::string_view path = rest.substr(slash);
  if (!url.websocket && path != "/") return bad(url.text, "must not have a path");
  if (!is_path(path)) return bad(url.text, "has no valid path");
  if (url.websocket) url.path = std::string(path);
  rest = rest.substr(0, slash);
  return {};
}

Status take_port(BrokerUrl& url, std::string_view port) {
  if (port.empty()) return {};
  port.remove_prefix(1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (error != std::errc() || end != port.data() + port.size() || url.port < 1 || url.port > 65535)
    return bad(url.text, "has no valid port");
  return {};
}

}  // namespace

Result<BrokerUrl> parse_broker_url(std::string_view text) {
  BrokerUrl url;
  url.text = std::string(text);
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad(text, "has no scheme");
  const auto* const scheme =
      std::find_if(std::begin(kSchemes), std::end(kSchemes),
                   [&](const Scheme& known) { return known.name == text.substr(0, colon); });
  if (scheme == std::end(kSchemes)) return bad(text, "has an unknown scheme");
  url.tls = scheme->tls;
  url.websocket = scheme->websocket;
  url.port = scheme->port;

  std::string_view rest = text.substr(colon + 3);
  if (rest.find('@') != std::string_view::npos)
    return bad(text, "must not hold credentials (set mqtt.username and mqtt.password_file)");
  if (Status taken = take_path(url, rest); !taken) return fail(taken.error());
  if (rest.find_first_of("?# ") != std::string_view::npos)
    return bad(text, "must not have a query or spaces");

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
  if (Status taken = take_port(url, port); !taken) return fail(taken.error());
  return url;
}

}  // namespace wherry
