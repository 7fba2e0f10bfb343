#pragma once
// Errors as the REST interface tells them: RFC 9457 problem details.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace wherry::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Problem {
  int status = 500;
  std::string detail;    // a sentence that says what to do
  std::string reason{};  // one CamelCase word, or empty: then one that fits the status
  Headers headers{};     // Allow, Retry-After …
};

Problem problem_from(const Error& error);

// application/problem+json; `extra` adds members.
std::string to_json(const Problem& problem);
std::string to_json(const Problem& problem, const nlohmann::ordered_json& extra);

}  // namespace wherry::http
