#include "agent/fleet/latest_slot.h"

#include <gtest/gtest.h>

namespace wherry {
namespace {

TEST(LatestSlotTest, OneInFlightAndTheNewestWaits) {
  LatestSlot slot;
  EXPECT_TRUE(slot.idle());
  EXPECT_FALSE(slot.take());
  slot.put("1");
  EXPECT_FALSE(slot.idle());
  EXPECT_EQ(slot.take(), "1");
  slot.put("2");
  slot.put("3");
  EXPECT_FALSE(slot.take()) << "one is in flight";
  slot.acknowledged();
  EXPECT_EQ(slot.take(), "3");
  slot.acknowledged();
  EXPECT_FALSE(slot.take());
  EXPECT_TRUE(slot.idle());
}

TEST(LatestSlotTest, WhatWasInFlightIsSentAgainAfterALoss) {
  LatestSlot slot;
  slot.put("1");
  EXPECT_EQ(slot.take(), "1");
  slot.connection_lost();
  EXPECT_EQ(slot.take(), "1");
  slot.put("2");
  slot.connection_lost();
  EXPECT_EQ(slot.take(), "2") << "the newer replaces what was in flight";
  slot.acknowledged();
  slot.connection_lost();
  EXPECT_FALSE(slot.take()) << "nothing was in flight";
}

TEST(LatestSlotTest, ForgottenMeansTheNewestAgain) {
  LatestSlot slot;
  slot.forgotten();
  EXPECT_FALSE(slot.take()) << "there never was one";
  slot.put("1");
  EXPECT_EQ(slot.take(), "1");
  slot.acknowledged();
  slot.forgotten();
  EXPECT_EQ(slot.take(), "1");
}

}  // namespace
}  // namespace wherry
