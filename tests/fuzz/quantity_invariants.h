#pragma once
// What must hold for any text that may be a quantity.

#include <string>
#include <string_view>

namespace wherry {

std::string broken_quantity(std::string_view text);

}  // namespace wherry
