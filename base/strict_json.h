#pragma once
// JSON without the liberties that parsers take, for what strangers send.

#include <cstddef>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace wherry {

struct JsonBounds {
  size_t bytes;
  int depth = 8;
};

// UTF-8, no byte order mark, no NUL, no member twice, within the bounds. InvalidArgument says what
// is wrong, in one line without a subject ("it is not JSON").
Result<nlohmann::json> parse_strict_json(std::string_view text, JsonBounds bounds);

}  // namespace wherry
