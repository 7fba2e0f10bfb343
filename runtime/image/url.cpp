#include "runtime/image/url.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMaxUrl = 8000;  // what servers commonly accept; pre-signed URLs are long

// Names, IPv4, and IPv6 within brackets (RFC 3986 section 3.2.2), as far as registries use them.
bool is_host(std::string_view host, bool brackets) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [&](unsigned char c) {
    if (brackets) return std::isxdigit(c) != 0 || c == ':' || c == '.';
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

bool is_plain(char c) { return c > 0x20 && c < 0x7f; }

// "ftp" of "FTP://host/x"; empty for what is relative (RFC 3986 section 4.2).
std::string scheme_of(std::string_view location) {
  const size_t colon = location.find_first_of(":/?#");
  if (colon == std::string_view::npos || location[colon] != ':' || colon == 0) return {};
  std::string scheme;
  for (const char c : location.substr(0, std::min<size_t>(colon, 20))) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0 && c != '+' && c != '-' && c != '.') return {};
    scheme += static_cast<char>(std::tolower(byte));
  }
  return scheme;
}

tl::unexpected<Error> invalid(std::string_view text, std::string_view why) {
  return fail(Code::InvalidArgument, "\"" + printable(url_without_secrets(text)) +
                                         "\" is not a URL we can use: " + std::string(why));
}

}  // namespace

std::string Url::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string Url::text() const { return (tls ? "https://" : "http://") + authority() + target; }

Result<Url> parse_url(std::string_view text) {
  if (text.size() > kMaxUrl) return invalid(text, "it is too long");
  if (!std::all_of(text.begin(), text.end(), is_plain)) return invalid(text, "odd characters");
  Url url;
  std::string_view rest = text.substr(0, text.find('#'));
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    url.tls = false;
    url.port = 80;
  } else {
    return invalid(text, "the scheme is neither https nor http");
  }
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, end);
  url.target = rest.substr(end);
  if (!url.target.starts_with("/")) url.target.insert(0, "/");
  if (authority.find('@') != std::string_view::npos) return invalid(text, "it has a user name");

  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && !authority.ends_with("]")) {
    const std::string port(authority.substr(colon + 1));
    authority = authority.substr(0, colon);
    const bool digits =
        std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (port.empty() || port.size() > 5 || !digits) return invalid(text, "the port is no number");
    url.port = std::stoi(port);
    if (url.port < 1 || url.port > 65535) return invalid(text, "the port is out of range");
  }
  const bool brackets = authority.starts_with("[") && authority.ends_with("]");
  if (brackets) authority = authority.substr(1, authority.size() - 2);
  if (authority.empty()) return invalid(text, "the host is missing");
  if (!is_host(authority, brackets)) return invalid(text, "the host is no name and no address");
  url.host = authority;
  return url;
}

Result<Url> resolve_location(const Url& base, std::string_view location) {
  const std::string scheme = scheme_of(location);
  Result<Url> url = Url{};
  if (scheme == "http" || scheme == "https") {
    url = parse_url(scheme + std::string(location.substr(scheme.size())));
  } else if (!scheme.empty()) {
    return fail(Code::PermissionDenied, base.authority() + " redirects to " + scheme +
                                            ":, which is not followed: only https and http are");
  } else if (location.starts_with("//")) {
    url = parse_url((base.tls ? "https:" : "http:") + std::string(location));
  } else {
    std::string target(location.substr(0, location.find('#')));
    if (!target.starts_with("/")) {
      const std::string here = base.target.substr(0, base.target.find('?'));
      target.insert(0, here.substr(0, here.rfind('/') + 1));
    }
    url = parse_url((base.tls ? "https://" : "http://") + base.authority() + target);
  }
  // What a server says may be better the next time; it is nothing that is wrong with an image.
  if (!url) {
    return fail(Code::Unavailable, base.authority() + " redirects to " + url.error().message());
  }
  if (base.tls && !url->tls) {
    return fail(Code::PermissionDenied, base.authority() + " redirects from https to plain http (" +
                                            url->authority() + ")");
  }
  return url;
}

std::string encode_query(std::string_view value) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace wherry::runtime
