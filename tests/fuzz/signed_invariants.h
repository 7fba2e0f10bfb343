#pragma once
// What must hold for any signed message whatsoever.

#include <string>
#include <string_view>

namespace wherry {

// Empty where all holds, else what does not.
std::string broken_signed(std::string_view text);

}  // namespace wherry
