#pragma once
// Time, so that tests own it. Decisions use monotonic time only; wall time is for what people read.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry {

using Duration = std::chrono::nanoseconds;
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonoTime now() const = 0;
  virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  MonoTime now() const override;
  WallTime wall() const override;
};

// A clock that stands still until told to move. Thread-safe.
class FakeClock final : public Clock {
 public:
  MonoTime now() const override { return MonoTime(Duration(now_.load())); }
  WallTime wall() const override { return WallTime(Duration(wall_.load())); }
  void advance(Duration by) { now_ += by.count(), wall_ += by.count(); }
  void set_wall(WallTime wall) { wall_ = wall.time_since_epoch().count(); }

 private:
  std::atomic<int64_t> now_{Duration(std::chrono::hours(1)).count()};
  std::atomic<int64_t> wall_{Duration(std::chrono::seconds(1'790'000'000)).count()};
};

// RFC 3339 in UTC with milliseconds: 2026-11-23T22:00:00.123Z. Empty for the epoch (never).
std::string to_rfc3339(WallTime time);
// Accepts any RFC 3339 date-time (fraction optional up to nanoseconds, offset Z or ±hh:mm).
Result<WallTime> parse_rfc3339(std::string_view text);

// "250ms", "30s", "5m", "12h", "7d", sums such as "1h30m". Rejects negatives and overflow.
Result<Duration> parse_duration(std::string_view text);
// The shortest exact form that parse_duration reads back: "1h30m", "250ms", "0s".
std::string format_duration(Duration duration);

}  // namespace wherry
