#pragma once
// RFC 4648: section 4, and section 5 as RFC 7515 (section 2) writes it.

#include <optional>
#include <string>
#include <string_view>

namespace wherry {

std::string base64_encode(std::string_view bytes);
// Space around it and missing padding are tolerated; nothing when malformed otherwise.
std::optional<std::string> base64_decode(std::string_view text);

// With '-' and '_', and no padding. Decoding takes exactly what encoding gives, nothing else.
std::string base64url_encode(std::string_view bytes);
std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace wherry
