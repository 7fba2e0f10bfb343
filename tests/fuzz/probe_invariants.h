#pragma once
// What must hold for any answer to a probe.

#include <string>
#include <string_view>

namespace wherry {

std::string broken_probe_answer(std::string_view text);

}  // namespace wherry
