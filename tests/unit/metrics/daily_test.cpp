// The figure of a day.

#include "telemetry/metrics/daily.h"

#include <gtest/gtest.h>

namespace wherry::telemetry {
namespace {

using namespace std::chrono_literals;

TEST(DailyUsage, IsThatOfTheLastDayThatEnded) {
  FakeClock clock;
  clock.set_wall(*parse_rfc3339("2026-11-25T20:00:00Z"));
  Daily daily;
  const auto at = [&](uint64_t total) {
    return daily.at(clock.wall(), clock.now(), {total, 2 * total, 3 * total});
  };
  EXPECT_FALSE(at(100));
  clock.advance(3h);
  EXPECT_FALSE(at(150)) << "the day goes on";
  clock.advance(2h);
  const Daily::Day first{"2026-11-25", {60, 120, 180}};
  EXPECT_EQ(at(160), first);
  clock.advance(22h);
  EXPECT_EQ(at(900), first) << "it changes once a day";
  clock.advance(2h);
  EXPECT_EQ(at(1000), (Daily::Day{"2026-11-26", {840, 1680, 2520}}));
}

TEST(DailyUsage, AClockThatIsSetMakesNoDay) {
  FakeClock clock;
  clock.set_wall(*parse_rfc3339("1970-01-01T00:01:00Z"));
  Daily daily;
  EXPECT_FALSE(daily.at(clock.wall(), clock.now(), {1, 1, 1}));
  clock.advance(10min);
  clock.set_wall(*parse_rfc3339("2026-11-25T20:00:00Z"));
  EXPECT_FALSE(daily.at(clock.wall(), clock.now(), {9, 9, 9}));
}

}  // namespace
}  // namespace wherry::telemetry
