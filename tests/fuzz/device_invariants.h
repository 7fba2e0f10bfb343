#pragma once
// What must hold for any specification of the Container Device Interface.

#include <string>
#include <string_view>

namespace wherry {

std::string broken_cdi_spec(std::string_view text);

}  // namespace wherry
