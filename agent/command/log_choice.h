#pragma once
// Which lines of a log are meant, beside the last ones and those since a time.

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace wherry {

struct LogChoice {
  std::optional<WallTime> until;  // inclusive
  std::string pattern;            // as it stands in the line; empty: any line

  bool all() const { return !until && pattern.empty(); }
  // `line` begins with its time and a space.
  bool has(std::string_view line) const;
};

// The line behind its time.
std::string_view without_time(std::string_view line);

}  // namespace wherry
