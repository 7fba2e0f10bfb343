// How much may go up, by the lines' own times.

#include "agent/forward/line_rate.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace wherry {
namespace {

std::string at(int seconds) {
  return to_rfc3339(WallTime(std::chrono::seconds(1'790'000'000 + seconds)));
}

TEST(LineRate, LetsThroughWhatIsWrittenInPeace) {
  LineRate rate(100, 400);
  for (int second = 0; second < 10'000; ++second) ASSERT_TRUE(rate.take(100, at(second))) << second;
}

TEST(LineRate, StopsAFloodAndGoesOnAfterwards) {
  LineRate rate(100, 400);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(rate.take(100, at(0)));
  EXPECT_FALSE(rate.take(100, at(0)));
  EXPECT_FALSE(rate.take(10, at(0))) << "one that is shorter does not overtake";
  EXPECT_TRUE(rate.take(100, at(1)));
  EXPECT_FALSE(rate.take(1, at(1)));
  EXPECT_TRUE(rate.take(400, at(100)));
  EXPECT_FALSE(rate.take(1, at(100)));
}

TEST(LineRate, WaitsForAQuarterOfTheBurst) {
  LineRate rate(10, 400);
  EXPECT_TRUE(rate.take(400, at(0)));
  EXPECT_FALSE(rate.take(10, at(0)));
  EXPECT_FALSE(rate.take(10, at(9)));
  EXPECT_TRUE(rate.take(10, at(10)));
  EXPECT_TRUE(rate.take(90, at(10)));
}

TEST(LineRate, AClockThatIsSetGivesNothingAndHoldsNothingUp) {
  LineRate rate(100, 400);
  EXPECT_TRUE(rate.take(400, at(1'000'000)));
  EXPECT_FALSE(rate.take(100, at(0)));
  EXPECT_TRUE(rate.take(100, at(1)));
  EXPECT_FALSE(rate.take(100, "rubbish"));
}

}  // namespace
}  // namespace wherry
