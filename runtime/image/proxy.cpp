#include "runtime/image/proxy.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/text.h"
#include "runtime/image/auth.h"
#include "runtime/image/hosts.h"

namespace wherry::runtime {
namespace {

std::string variable(const char* upper, const char* lower) {
  for (const char* name : {upper, lower}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// Always 16 bytes: IPv4 as ::ffff:a.b.c.d.
using Address = std::array<unsigned char, 16>;
std::optional<Address> parse_address(const std::string& text, bool& v4) {
  Address address{};
  v4 = inet_pton(AF_INET, text.c_str(), address.data() + 12) == 1;
  if (v4) {
    address[10] = address[11] = 0xff;
    return address;
  }
  if (inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return address;
  return std::nullopt;
}

bool in_network(const Address& address, const Address& network, int bits) {
  for (int i = 0; i < bits; ++i) {
    const unsigned mask = 0x80u >> (i % 8);
    const auto at = static_cast<size_t>(i / 8);
    if ((address[at] & mask) != (network[at] & mask)) return false;
  }
  return true;
}

// "10.0.0.0/8" -> true where the address is in it; nothing where it is no network.
std::optional<bool> matches_network(const std::string& rule, const std::optional<Address>& address,
                                    bool address_v4) {
  const size_t slash = rule.find('/');
  if (slash == std::string::npos) return std::nullopt;
  bool v4 = false;
  const auto network = parse_address(rule.substr(0, slash), v4);
  int bits = 0;
  const char* last = rule.data() + rule.size();
  const auto [end, error] = std::from_chars(rule.data() + slash + 1, last, bits);
  if (!network || error != std::errc() || end != last || bits < 0 || bits > (v4 ? 32 : 128)) {
    return std::nullopt;
  }
  return address && v4 == address_v4 && in_network(*address, *network, v4 ? bits + 96 : bits);
}

// One rule of NO_PROXY, in lower case.
bool matches(std::string rule, const Url& url) {
  bool host_v4 = false;
  const std::string host = lower(url.host);
  const auto address = parse_address(host, host_v4);
  if (rule == "*") return true;
  if (const auto network = matches_network(rule, address, host_v4)) return *network;
  const bool bracketed = rule.starts_with("[");
  const size_t colon = rule.rfind(':');
  const bool several = std::count(rule.begin(), rule.end(), ':') > 1;
  if (colon != std::string::npos && (bracketed ? rule[colon - 1] == ']' : !several)) {
    if (rule.substr(colon + 1) != std::to_string(url.port)) return false;
    rule.resize(colon);
  }
  if (rule.starts_with("[") && rule.ends_with("]")) rule = rule.substr(1, rule.size() - 2);
  bool rule_v4 = false;
  if (const auto same = parse_address(rule, rule_v4)) return address && *same == *address;
  if (rule.starts_with("*.")) rule.erase(0, 1);
  if (rule.empty() || address) return false;
  return rule.starts_with(".") ? host.ends_with(rule) : host == rule || host.ends_with("." + rule);
}

bool goes_straight(const std::string& rules, const Url& url) {
  if (is_loopback_host(lower(url.host)) || url.host == "::1") return true;
  const std::vector<std::string> all = split(rules, ',');
  return std::any_of(all.begin(), all.end(), [&](const std::string& rule) {
    const std::string text = lower(trim(rule));
    return !text.empty() && matches(text, url);
  });
}

std::string decode_percent(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* start = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(start, start + 2, value, 16).ptr == start + 2) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Result<Proxy> parse_proxy(std::string text, const char* name) {
  if (text.find("://") == std::string::npos) text.insert(0, "http://");
  const std::string scheme = lower(text.substr(0, text.find("://")));
  if (scheme != "http") {
    return fail(Code::FailedPrecondition, std::string(name) + ": proxies are spoken to by http://" +
                                              " only, not by " + scheme.substr(0, 20) + "://");
  }
  std::string_view rest = std::string_view(text).substr(7);
  Proxy proxy;
  const size_t at = rest.substr(0, rest.find('/')).rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    const size_t colon = std::min(user.find(':'), user.size());
    Credential credential;
    credential.username = decode_percent(user.substr(0, colon));
    if (colon < user.size()) credential.password = decode_percent(user.substr(colon + 1));
    proxy.authorization = credential.basic();
    rest.remove_prefix(at + 1);
  }
  // The password is gone from here on, so the text may be told.
  const auto url = parse_url("http://" + std::string(rest));
  if (!url) return fail(Error(Code::FailedPrecondition, url.error().full()).wrap(name));
  proxy.host = url->host;
  proxy.port = url->port;
  return proxy;
}

}  // namespace

std::string Proxy::authority() const {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
         std::to_string(port);
}

ProxySettings proxy_settings_from_environment() {
  return {variable("HTTPS_PROXY", "https_proxy"), variable("HTTP_PROXY", "http_proxy"),
          variable("NO_PROXY", "no_proxy")};
}

Result<std::optional<Proxy>> proxy_for(const ProxySettings& settings, const Url& url) {
  const std::string& text = url.tls ? settings.https : settings.http;
  if (text.empty() || goes_straight(settings.none, url)) return std::optional<Proxy>();
  auto proxy = parse_proxy(text, url.tls ? "HTTPS_PROXY" : "HTTP_PROXY");
  if (!proxy) return fail(proxy.error());
  return std::optional<Proxy>(std::move(*proxy));
}

}  // namespace wherry::runtime
