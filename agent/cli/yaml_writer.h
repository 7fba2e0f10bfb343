#pragma once
// JSON as YAML, for -o yaml.

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace wherry::cli {

// Block style; strings that could be read as something else are quoted.
std::string to_yaml(const nlohmann::ordered_json& json);

}  // namespace wherry::cli
