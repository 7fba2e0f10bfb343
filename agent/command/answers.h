#pragma once
// A Response: {"ok":true,"result":…} or {"ok":false,"error":{"code":…,"message":…}}.

#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry {

// `result`: JSON.
std::string answer_with(std::string_view result);
std::string refusal(std::string_view code, std::string_view message);
std::string refusal(const Error& error);  // the code's name

// The same for somebody who asked on another topic: with "source", where the command came from that
// was carried out.
std::string carried_out_for(const std::string& source, std::string answer);

// As it is kept: one of more than `most` bytes loses the beginning of its longest texts, or all of
// its result, and says so: {"ok":…,"result":…,"cut":{"bytes":<of the whole>,"message":…}}.
std::string shortened(const std::string& answer, size_t most);

}  // namespace wherry
