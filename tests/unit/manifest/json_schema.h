#pragma once
// The validator's table as a JSON Schema (draft 7, which editors understand).

#include <nlohmann/json.hpp>

namespace wherry::manifest {

nlohmann::ordered_json desired_state_schema();

}  // namespace wherry::manifest
