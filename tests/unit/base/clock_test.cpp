#include "base/clock.h"

#include <thread>

#include <gtest/gtest.h>

namespace wherry {
namespace {

using namespace std::chrono_literals;

struct DurationCase {
  std::string_view text;
  Duration value;
};

TEST(ParseDuration, ReadsEveryUnitAndSums) {
  constexpr DurationCase kCases[] = {{"0", 0ns},
                                     {"0s", 0ns},
                                     {"250ms", 250ms},
                                     {"30s", 30s},
                                     {"5m", 5min},
                                     {"12h", 12h},
                                     {"7d", 168h},
                                     {"1h30m", 90min},
                                     {"1d1h1m1s1ms", 25h + 61s + 1ms},
                                     {"1us", 1us},
                                     {"1ns", 1ns},
                                     {"1m1m", 2min},
                                     {"007s", 7s},
                                     {"9223372036s", 9223372036s}};
  for (const DurationCase& one : kCases) {
    const Result<Duration> parsed = parse_duration(one.text);
    ASSERT_TRUE(parsed) << one.text;
    EXPECT_EQ(*parsed, one.value) << one.text;
  }
}

TEST(ParseDuration, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"", "s", "5", "-5s", "+5s", "5 s", " 5s", "5s ", "5x", "5S", "1.5h", "5mm", "5s3", "1e3s",
        "9223372037s", "99999999999999999999s", "9223372036854775807d", "106751d24h", "\xff"}) {
    const Result<Duration> parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), Code::InvalidArgument);
    EXPECT_NE(parsed.error().message().find("30s"), std::string::npos) << "says what to write";
  }
}

TEST(ParseDuration, AnErrorQuotesOnlyTheStartOfALongText) {
  EXPECT_LT(parse_duration(std::string(100'000, 'x')).error().message().size(), 200u);
}

TEST(FormatDuration, IsReadBackExactly) {
  EXPECT_EQ(format_duration(0ns), "0s");
  EXPECT_EQ(format_duration(-1s), "0s");
  EXPECT_EQ(format_duration(90min), "1h30m");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(168h), "7d");
  for (const Duration value : {Duration(1), Duration(123'456'789'012'345), Duration::max()}) {
    EXPECT_EQ(*parse_duration(format_duration(value)), value);
  }
}

TEST(Rfc3339, WritesUtcWithMilliseconds) {
  EXPECT_EQ(to_rfc3339(WallTime{}), "");
  EXPECT_EQ(to_rfc3339(WallTime(1'795'471'200'123ms)), "2026-11-23T22:00:00.123Z");
  EXPECT_EQ(to_rfc3339(WallTime(-1ms)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_rfc3339(WallTime::max()), "2262-04-11T23:47:16.854Z");
}

TEST(Rfc3339, ReadsOffsetsAndFractions) {
  const WallTime expected(1'795'471'200'500ms);
  for (const std::string_view text :
       {"2026-11-23T22:00:00.5Z", "2026-11-23t22:00:00.500z", "2026-11-24T00:30:00.5+02:30",
        "2026-11-23T20:00:00.500000000-02:00", "2026-11-23T22:00:00.5000000009Z"}) {
    const Result<WallTime> parsed = parse_rfc3339(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, expected) << text;
  }
  EXPECT_EQ(to_rfc3339(*parse_rfc3339("2024-02-29T12:00:00Z")), "2024-02-29T12:00:00.000Z");
}

TEST(Rfc3339, FarYearsSaturateInsteadOfWrapping) {
  EXPECT_EQ(*parse_rfc3339("9999-12-31T23:59:59Z"), WallTime::max());
  EXPECT_EQ(*parse_rfc3339("0001-01-01T00:00:00Z"), WallTime::min());
  EXPECT_GT(*parse_rfc3339("2261-12-31T23:59:60-23:59"), *parse_rfc3339("2261-12-31T00:00:00Z"));
}

TEST(Rfc3339, RefusesWhatIsNone) {
  for (const std::string_view text : {"",
                                      "2026",
                                      "2026-11-23",
                                      "2026-11-23T22:00:00",
                                      "2026-11-23 22:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-11-23T24:00:00Z",
                                      "2026-11-23T22:60:00Z",
                                      "2026-11-23T22:00:61Z",
                                      "2026-11-23T22:00:00.Z",
                                      "2026-11-23T22:00:00+2:00",
                                      "2026-11-23T22:00:00+24:00",
                                      "2026-11-23T22:00:00+02:60",
                                      "2026-11-23T22:00:00+0200",
                                      "2026-11-23T22:00:00Zx",
                                      "2026-11-23T22:00:00+02:00x",
                                      "2026-11-23T22:00:00+02:0",
                                      "26-11-23T22:00:00Z",
                                      "2026-11-23\xd4"
                                      "22:00:00Z"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(FakeClock, MovesOnlyWhenToldTo) {
  FakeClock clock;
  const MonoTime start = clock.now();
  const WallTime wall = clock.wall();
  EXPECT_EQ(clock.now(), start);
  clock.advance(5s);
  EXPECT_EQ(clock.now() - start, 5s);
  EXPECT_EQ(clock.wall() - wall, 5s);
  clock.set_wall(WallTime(3s));
  EXPECT_EQ(clock.wall(), WallTime(3s));
  EXPECT_EQ(clock.now() - start, 5s) << "a wall clock step leaves monotonic time alone";
}

TEST(FakeClock, CanBeReadWhileItMoves) {
  FakeClock clock;
  const MonoTime start = clock.now();
  std::thread mover([&] {
    for (int i = 0; i < 1000; ++i) clock.advance(1s);
  });
  MonoTime last = start;
  while (last < start + 1000s) {
    const MonoTime now = clock.now();
    ASSERT_GE(now, last);
    last = now;
  }
  mover.join();
}

TEST(SystemClock, MonotonicTimeDoesNotRunBackwards) {
  const SystemClock clock;
  const MonoTime first = clock.now();
  EXPECT_GE(clock.now(), first);
  EXPECT_GT(clock.wall().time_since_epoch(), 0ns);
}

}  // namespace
}  // namespace wherry
