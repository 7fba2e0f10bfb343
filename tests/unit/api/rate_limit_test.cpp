// Buckets of tokens: how many, how soon again, and whose are forgotten.
#include "agent/api/rate_limit.h"

#include <gtest/gtest.h>

namespace wherry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RateLimit, SoManyAtOnceThenAsTimeGoesBy) {
  FakeClock clock;
  RateLimit limit({.per_second = 2, .at_once = 3}, clock);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.take("a"), Duration::zero()) << i;
  EXPECT_EQ(limit.take("a"), milliseconds(500));
  EXPECT_EQ(limit.take("a"), milliseconds(500)) << "being refused costs nothing";
  clock.advance(milliseconds(499));
  EXPECT_GT(limit.take("a"), Duration::zero());
  clock.advance(milliseconds(2));
  EXPECT_EQ(limit.take("a"), Duration::zero());
  EXPECT_GT(limit.take("a"), Duration::zero());
  clock.advance(seconds(1000));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.take("a"), Duration::zero()) << "no more than 3";
  EXPECT_GT(limit.take("a"), Duration::zero());
}

TEST(RateLimit, EachHasItsOwn) {
  FakeClock clock;
  RateLimit limit({.per_second = 1, .at_once = 1}, clock);
  EXPECT_EQ(limit.take("a"), Duration::zero());
  EXPECT_GT(limit.take("a"), Duration::zero());
  EXPECT_EQ(limit.take("b"), Duration::zero());
}

TEST(RateLimit, LookingTakesNothing) {
  FakeClock clock;
  RateLimit limit({.per_second = 1, .at_once = 1}, clock);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limit.wait("a"), Duration::zero());
  EXPECT_EQ(limit.take("a"), Duration::zero());
  EXPECT_EQ(limit.wait("a"), seconds(1));
}

TEST(RateLimit, WhatWasTakenForNothingIsGivenBack) {
  FakeClock clock;
  RateLimit limit({.per_second = 1, .at_once = 1}, clock);
  limit.give_back("a");
  EXPECT_EQ(limit.take("a"), Duration::zero());
  limit.give_back("a");
  limit.give_back("a");
  EXPECT_EQ(limit.take("a"), Duration::zero());
  EXPECT_EQ(limit.take("a"), seconds(1)) << "never more than there is room for";
}

TEST(RateLimit, WhoTookMostIsRememberedLongest) {
  FakeClock clock;
  RateLimit limit({.per_second = 0.001, .at_once = 4}, clock, 8);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(limit.take("greedy"), Duration::zero());
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(limit.take("passer-by " + std::to_string(i)), Duration::zero());
  }
  EXPECT_GT(limit.wait("greedy"), Duration::zero());
}

}  // namespace
}  // namespace wherry
