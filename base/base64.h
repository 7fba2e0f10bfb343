#pragma once
// RFC 4648, section 4.

#include <optional>
#include <string>
#include <string_view>

namespace wherry {

std::string base64_encode(std::string_view bytes);
// Space around it and missing padding are tolerated; nothing when malformed otherwise.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace wherry
