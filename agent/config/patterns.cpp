#include "agent/config/patterns.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

#include "base/text.h"

namespace wherry::config {
namespace {

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Letters and digits, inside also those of `inner`.
bool is_word(std::string_view text, size_t max, std::string_view inner) {
  return !text.empty() && text.size() <= max && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_alnum(c) || inner.find(c) != std::string_view::npos;
         });
}

tl::unexpected<Error> bad(std::string_view text, std::string_view must) {
  return fail(Code::InvalidArgument, quoted(text) + " " + std::string(must));
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool is_ip(int family, std::string_view text) {
  unsigned char bytes[16];
  return inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

struct HostPort {
  std::string_view host;  // without the brackets of an IPv6 address
  std::string_view port;  // "" where there is none
  bool bracketed = false;
  bool good = false;
};

HostPort split_host_port(std::string_view text) {
  HostPort parts;
  size_t end = 0;
  if (text.starts_with('[')) {
    end = text.find(']');
    if (end == std::string_view::npos) return parts;
    parts.bracketed = true;
    parts.host = text.substr(1, end - 1);
    ++end;
  } else {
    end = std::min(text.find(':'), text.size());
    parts.host = text.substr(0, end);
  }
  if (end < text.size()) {
    if (text[end] != ':' || !is_port(text.substr(end + 1))) return parts;
    parts.port = text.substr(end + 1);
  }
  parts.good = parts.bracketed ? is_ip(AF_INET6, parts.host) : is_word(parts.host, 253, ".-_");
  return parts;
}

}  // namespace

std::string quoted(std::string_view text, size_t longest) {
  std::string shown = "\"";
  for (const char c : text.substr(0, longest)) {
    if (is_control(c)) {
      shown += '?';
      continue;
    }
    if (c == '"' || c == '\\') shown += '\\';
    shown += c;
  }
  return shown + (text.size() > longest ? "…\"" : "\"");
}

Status check_text(std::string_view text) {
  if (!is_valid_utf8(text) || std::any_of(text.begin(), text.end(), is_control)) {
    return bad(text, "must be UTF-8 text without control characters");
  }
  if (text.size() > 1024) return bad(text, "is longer than 1024 bytes");
  return {};
}

Status check_name(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 64 && is_alnum(text.front()) &&
                    std::all_of(text.begin(), text.end(), [](char c) {
                      return is_alnum(c) || c == '.' || c == '_' || c == '-';
                    });
  if (good) return {};
  return bad(text, "must be 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit");
}

Status check_device_id(std::string_view text) { return text.empty() ? Status{} : check_name(text); }

Status check_identifier(std::string_view text) {
  bool good = is_word(text, 76, "._-");
  for (size_t i = 1; good && i < text.size(); ++i)
    good = is_alnum(text[i]) || is_alnum(text[i - 1]);
  if (good) return {};
  return bad(text, "must be letters and digits, with single '.', '_' or '-' between them");
}

Status check_runtime(std::string_view text) {
  return text.starts_with('/') ? check_path(text) : check_identifier(text);
}

Status check_path(std::string_view text) {
  if (text.starts_with("unix://")) return bad(text, "must be a plain path, without unix://");
  if (!text.starts_with('/')) return bad(text, "must be an absolute path");
  if (text.size() > 4095) return bad(text, "is longer than a path can be");
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return bad(text, "must not hold control characters");
  }
  return {};
}

Status check_optional_path(std::string_view text) {
  return text.empty() ? Status{} : check_path(text);
}

// The secret itself may have been written there, and messages are passed on.
Status check_secret_path(std::string_view text) {
  if (text.empty() || check_path(text)) return {};
  return fail(Code::InvalidArgument,
              "must be the absolute path of a file that holds the secret, without control "
              "characters; what is written instead is not shown here, as it may be the secret");
}

Status check_socket_path(std::string_view text) {
  // unix(7): sun_path has 108 bytes, one of them the end.
  if (text.size() > 107) return bad(text, "is longer than the 107 bytes a socket's path can have");
  return check_path(text);
}

Status check_topic(std::string_view text) {
  const Status plain = check_text(text);
  if (!plain) return plain;
  if (text.empty()) return bad(text, "must not be empty; write for example wherry/v1");
  if (text.find_first_of("+#") != std::string_view::npos) {
    return bad(text, "must not hold the wildcards + and #");
  }
  if (text.front() == '/' || text.back() == '/' || text.find("//") != std::string_view::npos) {
    return bad(text, "must not begin or end with a slash nor have an empty level");
  }
  if (text.front() == '$') return bad(text, "must not begin with $, which is the broker's own");
  return {};
}

Status check_broker(std::string_view text) {
  const std::string shown = url_without_secrets(text);
  const size_t separator = text.find("://");
  const std::string_view scheme =
      text.substr(0, separator == std::string_view::npos ? 0 : separator);
  const bool websocket = scheme == "ws" || scheme == "wss";
  if (!websocket && scheme != "mqtt" && scheme != "mqtts") {
    return bad(shown, "must begin with mqtt://, mqtts://, ws:// or wss://");
  }
  std::string_view rest = text.substr(separator + 3);
  if (rest.find('@') != std::string_view::npos) {
    return bad(shown, "must not hold a user; set mqtt.username and mqtt.password_file");
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view path = rest.substr(slash);
    const bool good = std::all_of(path.begin(), path.end(), [](char c) {
      return is_alnum(c) || std::string_view("/-._~%").find(c) != std::string_view::npos;
    });
    if (!websocket) return bad(shown, "must not have a path, which only ws:// and wss:// have");
    if (!good) return bad(shown, "must have a path of letters, digits and any of / - . _ ~ %");
    rest = rest.substr(0, slash);
  }
  if (!split_host_port(rest).good) {
    return bad(shown,
               "must name a host and may name a port from 1 to 65535, e.g. mqtt://host:1883");
  }
  return {};
}

Status check_key_file(std::string_view text) {
  constexpr std::string_view kPin = "?pin-source=file:/";
  if (!text.starts_with("pkcs11:")) return check_secret_path(text);
  if (text.find("pin-value") != std::string_view::npos) {
    return fail(
        Code::InvalidArgument,
        "must not hold a PIN; put it into a file and write ?pin-source=file:/etc/wherry/pin "
        "instead of pin-value");
  }
  const size_t query = text.find('?');
  const bool good = query == std::string_view::npos || (text.substr(query).starts_with(kPin) &&
                                                        text.find('&') == std::string_view::npos);
  if (!good || !check_text(text) || text.substr(7, 1).empty() || query == 7) {
    // Where the file of the PIN belongs, the PIN itself may stand.
    return bad(url_without_secrets(text),
               "is no URI of a key; write for example "
               "pkcs11:token=device;object=mqtt?pin-source=file:/etc/wherry/pin");
  }
  return {};
}

Status check_alpn(std::string_view text) {
  const bool good = text.size() <= 255 && std::all_of(text.begin(), text.end(),
                                                      [](char c) { return c > ' ' && c < 0x7f; });
  if (good) return {};
  return bad(text, "must be the name of one protocol, e.g. x-amzn-mqtt-ca");
}

Status check_subnet(std::string_view text) {
  constexpr std::string_view kMust = "must be an IPv4 network from /8 to /29, e.g. 10.89.0.0/16";
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return bad(text, kMust);
  in_addr address{};
  unsigned bits = 0;
  const std::string_view length = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (error != std::errc{} || end != length.data() + length.size() || bits < 8 || bits > 29 ||
      inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &address) != 1) {
    return bad(text, kMust);
  }
  const uint32_t mask = ~uint32_t{0} << (32 - bits);
  const uint32_t first = ntohl(address.s_addr) & mask, last = first | ~mask;
  const bool loopback = first <= 0x7fffffff && last >= 0x7f000000;
  if (loopback || last >= 0xe0000000 || first < 0x01000000) {
    return bad(text, "holds addresses that no interface may have (0/8, 127/8, 224/3)");
  }
  const in_addr network{htonl(ntohl(address.s_addr) & mask)};
  if (network.s_addr == address.s_addr) return {};
  char shown[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &network, shown, sizeof shown);
  return bad(text, "is an address inside of a network; write " + std::string(shown) + "/" +
                       std::string(length));
}

bool networks_overlap(std::string_view a, std::string_view b) {
  unsigned bits = 32;
  uint32_t addresses[2] = {};
  size_t index = 0;
  for (const std::string_view text : {a, b}) {
    const size_t slash = std::min(text.find('/'), text.size() - 1);
    unsigned length = 32;
    std::from_chars(text.data() + slash + 1, text.data() + text.size(), length);
    bits = std::min(bits, length);
    in_addr address{};
    if (inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &address) != 1) return false;
    addresses[index++] = ntohl(address.s_addr);
  }
  return bits == 0 || ((addresses[0] ^ addresses[1]) >> (32 - bits)) == 0;
}

Status check_listen(std::string_view text) {
  if (text.empty()) return {};
  const HostPort parts = split_host_port(text);
  const bool address = parts.bracketed || is_ip(AF_INET, parts.host) || parts.host == "localhost";
  if (parts.good && address && !parts.port.empty()) return {};
  return bad(text, "must be an address and a port, e.g. 127.0.0.1:7070, 0.0.0.0:7070 or [::]:7070");
}

Status check_label(std::string_view key, std::string_view value) {
  constexpr std::string_view kMust =
      "is not a label key; write for example site or example.org/site";
  const size_t slash = key.find('/');
  const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
  if (!is_word(name, 63, "._-")) return bad(key, kMust);
  if (slash != std::string_view::npos && !is_word(key.substr(0, slash), 253, ".-")) {
    return bad(key, kMust);
  }
  if (key == "kubernetes.io/arch" || key == "kubernetes.io/os" || key == "kubernetes.io/hostname") {
    return bad(key, "is set by the agent itself");
  }
  if (!value.empty() && !is_word(value, 63, "._-")) {
    return bad(
        value,
        "must be up to 63 letters, digits, '.', '_' or '-', first and last a letter or digit");
  }
  return {};
}

Status check_resource(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view domain = text.substr(0, slash);
  if (slash == std::string_view::npos || !is_word(domain, 253, ".-") ||
      !is_word(text.substr(slash + 1), 63, "._-")) {
    return bad(text, "is no name of an extended resource; write for example example.com/camera");
  }
  if (domain == "kubernetes.io" || domain.ends_with(".kubernetes.io")) {
    return bad(text, "is in Kubernetes' own domain; name the resource after a domain of yours");
  }
  return {};
}

Status check_permissions(std::string_view text) {
  std::string_view all = "rwm";
  for (const char c : text) {
    const bool once = std::count(text.begin(), text.end(), c) == 1;
    if (all.find(c) == std::string_view::npos || !once) text = {};
    if (text.empty()) break;
  }
  if (!text.empty()) return {};
  return fail(Code::InvalidArgument, "must be some of r (read), w (write) and m (mknod), as rw");
}

}  // namespace wherry::config
