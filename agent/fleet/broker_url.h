#pragma once
// mqtt://host:1883 and its like.

#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry {

struct BrokerUrl {
  std::string text;  // as configured, for people
  std::string host;  // name or address; IPv6 without brackets
  int port = 1883;
  bool tls = false;
};

// mqtt://HOST[:PORT] (1883) or mqtts://HOST[:PORT] (8883); an IPv6 address in brackets.
// Unimplemented for ws and wss, InvalidArgument for everything else; both carry the reason
// InvalidBroker.
Result<BrokerUrl> parse_broker_url(std::string_view text);

}  // namespace wherry
