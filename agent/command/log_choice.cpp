#include "agent/command/log_choice.h"

namespace wherry {

std::string_view without_time(std::string_view line) {
  const size_t space = line.find(' ');
  return space == std::string_view::npos ? line : line.substr(space + 1);
}

bool LogChoice::has(std::string_view line) const {
  if (until) {
    const auto time = parse_rfc3339(line.substr(0, line.find(' ')));
    if (time && *time > *until) return false;
  }
  return pattern.empty() || without_time(line).find(pattern) != std::string_view::npos;
}

}  // namespace wherry
