#pragma once
// The few URLs a registry deals in.

#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry::runtime {

struct Url {
  bool tls = true;
  std::string host;    // without brackets for IPv6
  int port = 443;      // 1 to 65535
  std::string target;  // path and query, begins with '/', as sent

  std::string authority() const;  // "host:port"
  std::string text() const;
};

// http and https only; no user name in it. InvalidArgument otherwise.
Result<Url> parse_url(std::string_view text);

// A Location header (RFC 9110 section 10.2.2), relative to `base` where it lacks parts. Going from
// https to http, or to anything but those two, is PermissionDenied; what is no URL is Unavailable.
Result<Url> resolve_location(const Url& base, std::string_view location);

// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3).
std::string encode_query(std::string_view value);

}  // namespace wherry::runtime
