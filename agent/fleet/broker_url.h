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
  bool websocket = false;
  std::string path;  // of a WebSocket; else empty
};

// mqtt://HOST[:PORT] (1883), mqtts://HOST[:PORT] (8883), ws://HOST[:PORT][/PATH] (80) or
// wss://HOST[:PORT][/PATH] (443); an IPv6 address in brackets. Without a path it is /mqtt, where
// brokers have MQTT. InvalidArgument for everything else, with the reason InvalidBroker.
Result<BrokerUrl> parse_broker_url(std::string_view text);

}  // namespace wherry
