#pragma once
// What must hold for any command whatsoever.

#include <string>
#include <string_view>

namespace wherry {

// Empty where all holds, else what does not.
std::string broken_command(std::string_view text);

}  // namespace wherry
