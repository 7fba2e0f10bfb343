#pragma once
// Schedules of cron, and the times that they stand for in a time zone.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace wherry {

// A zone of the system's tz database. A handle: cheap to copy, valid as long as the process.
class TimeZone {
 public:
  TimeZone() = default;  // UTC
  // By its name there ("Europe/Berlin"); "" is UTC. InvalidArgument says what is wrong.
  static Result<TimeZone> find(std::string_view name);
  const void* handle() const { return zone_; }  // null: UTC

 private:
  const void* zone_ = nullptr;
};

// Five fields (minute hour day-of-month month day-of-week) of *, ?, numbers, names, ranges, lists
// and steps, or one of the @macros. As in every cron, where both days are restricted one is enough.
class CronSchedule {
 public:
  static Result<CronSchedule> parse(std::string_view text);

  // The first time after `after`, and the last one in (after, until]; nothing where there is none.
  // Local times that a change of the clocks skips do not occur; those that occur twice are taken
  // once, or both times where the hour is free.
  std::optional<WallTime> next(WallTime after, TimeZone zone) const;
  std::optional<WallTime> last(WallTime after, WallTime until, TimeZone zone) const;

  bool every_hour() const { return any_hour_; }
  bool has_day(unsigned month, unsigned day, unsigned weekday) const;
  bool has_hour(unsigned hour) const { return (hours_ >> hour & 1) != 0; }
  bool has_minute(unsigned minute) const { return (minutes_ >> minute & 1) != 0; }

 private:
  bool occurs() const;

  uint64_t minutes_ = 0;
  uint32_t hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;
  bool any_hour_ = false, any_day_ = false, any_weekday_ = false;
};

}  // namespace wherry
