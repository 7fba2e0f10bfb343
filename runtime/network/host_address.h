#pragma once
// The device's own address, as others on its network see it.

#include <string>

namespace wherry::runtime {

// Of the interface that the default route leaves by; without one, of the first that is up and not
// the loopback; else 127.0.0.1. Sends nothing.
std::string host_address();
// The name of the interface that has this IPv4 address; "" where none has.
std::string interface_with(const std::string& address);

}  // namespace wherry::runtime
