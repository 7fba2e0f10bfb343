#pragma once
// What counters grew by in a day.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"

namespace wherry::telemetry {

// Not thread-safe; nothing happens between calls.
class Daily {
 public:
  struct Totals {
    uint64_t sent = 0, received = 0, written = 0;  // bytes
    bool operator==(const Totals&) const = default;
  };
  struct Day {
    std::string date;  // UTC: 2026-11-26
    Totals grown;
    bool operator==(const Day&) const = default;
  };

  // `totals` as they are now. Gives the last day that has ended: from its first call on, or, of the
  // day on which it was made, from then on. One that was shorter than an hour is not told, such as
  // that before the clock was set.
  std::optional<Day> at(WallTime wall, MonoTime now, const Totals& totals);

 private:
  std::string date_;  // of the day that goes on
  MonoTime since_{};
  Totals before_;
  std::optional<Day> last_;
};

}  // namespace wherry::telemetry
