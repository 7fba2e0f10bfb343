#pragma once
// What must hold for whatever is sent to the REST interface.

#include <string>
#include <string_view>

namespace wherry {

// The first byte says by which way the rest comes: the unix socket, TCP from the device itself or
// from elsewhere. Empty where all holds, else what does not.
std::string broken_rest(std::string_view text);

}  // namespace wherry
