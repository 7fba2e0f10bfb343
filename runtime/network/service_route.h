#pragma once
// A route to the addresses of Services, which no interface has: without one a program of the device
// could not connect to them where there is no default route. The packet filter has the packets
// before they get there.

#include <string>

#include "base/result.h"

namespace wherry::runtime {

// `subnet`: a.b.c.d/n, IPv4. Idempotent. The route is known as ours by its metric and protocol.
Status add_service_route(const std::string& subnet);
Status remove_service_route(const std::string& subnet);  // missing: success

}  // namespace wherry::runtime
