#include "base/backoff.h"

#include <limits>

#include <gtest/gtest.h>

namespace wherry {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesUpToTheCap) {
  const Backoff backoff{10s, 5min, 0.0};
  EXPECT_EQ(backoff.delay(0, 0.5), 0s);
  EXPECT_EQ(backoff.delay(1, 0.5), 10s);
  EXPECT_EQ(backoff.delay(2, 0.5), 20s);
  EXPECT_EQ(backoff.delay(5, 0.5), 160s);
  EXPECT_EQ(backoff.delay(6, 0.5), 300s);
  EXPECT_EQ(backoff.delay(7, 0.5), 300s);
}

TEST(Backoff, SaturatesForAnyCount) {
  constexpr uint32_t kMost = std::numeric_limits<uint32_t>::max();
  EXPECT_EQ((Backoff{10s, 5min, 0.0}).delay(kMost, 0.0), 300s);
  EXPECT_EQ((Backoff{0s, 5min, 0.0}).delay(kMost, 0.0), 0s) << "and at once";
  EXPECT_GT((Backoff{1ns, Duration::max(), 0.0}).delay(kMost, 0.0), 24h * 365 * 200);
  EXPECT_EQ((Backoff{10s, 1s, 0.0}).delay(1, 0.0), 1s) << "the cap holds for the first, too";
}

TEST(Backoff, JitterOnlyShortens) {
  const Backoff backoff{10s, 5min, 0.2};
  EXPECT_EQ(backoff.delay(1, 0.0), 10s);
  EXPECT_EQ(backoff.delay(1, 0.5), 9s);
  EXPECT_EQ(backoff.delay(1, 1.0), 8s);
  EXPECT_EQ(backoff.delay(1, 7.0), 0s) << "never negative";
  EXPECT_EQ(backoff.delay(1, -7.0), 10s) << "never longer";
}

TEST(RandomUnit, StaysBelowOne) {
  double lowest = 1, highest = 0;
  for (int i = 0; i < 1000; ++i) {
    const double value = random_unit();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  EXPECT_LT(lowest, 0.1);
  EXPECT_GT(highest, 0.9);
}

}  // namespace
}  // namespace wherry
