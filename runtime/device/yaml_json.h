#pragma once
// YAML as JSON, for files that may be written in either.

#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace wherry::runtime {

// One document without anchors, aliases and tags; at most 32 levels deep and 20,000 values.
// InvalidArgument begins with "line N: ".
Result<nlohmann::json> yaml_to_json(std::string_view text);

}  // namespace wherry::runtime
