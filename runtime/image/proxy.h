#pragma once
// Which proxy a request goes through, by the environment, as curl and Go's programs read it.

#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/image/url.h"

namespace wherry::runtime {

// HTTPS_PROXY, HTTP_PROXY and NO_PROXY; in lower case where the upper is not set.
struct ProxySettings {
  std::string https, http, none;
};
ProxySettings proxy_settings_from_environment();

struct Proxy {
  std::string host;  // without brackets for IPv6
  int port = 80;
  std::string authorization;  // the value of Proxy-Authorization, or empty; never log it
  std::string authority() const;
};

// Nothing: the request goes straight to its host. That is always so for loopback. NO_PROXY holds,
// separated by commas: "*"; names, which are also for what is below them, or with a leading dot or
// "*." only for that; addresses; networks (10.0.0.0/8); all but networks may have a port.
// Error: FailedPrecondition for a proxy that is not "http://[user:password@]host[:port]".
Result<std::optional<Proxy>> proxy_for(const ProxySettings& settings, const Url& url);

}  // namespace wherry::runtime
