#include "agent/simulate/event_queue.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace wherry::simulate {
namespace {

using nlohmann::json;

void add(EventQueue& queue, size_t count) {
  for (size_t i = 0; i < count; ++i) queue.add(R"({"at":"x"})");
}

TEST(EventQueue, OneBatchIsInFlightAndNumbersHaveNoHoles) {
  EventQueue queue("e1");
  EXPECT_FALSE(queue.take());
  add(queue, EventQueue::kMostSent + 1);
  const json first = json::parse(*queue.take());
  EXPECT_EQ(first["epoch"], "e1");
  EXPECT_EQ(first["first"], 1);
  EXPECT_EQ(first["records"].size(), EventQueue::kMostSent);
  EXPECT_FALSE(queue.take());
  queue.acknowledged(true);
  const json second = json::parse(*queue.take());
  EXPECT_EQ(second["first"], EventQueue::kMostSent + 1);
  EXPECT_EQ(second["records"].size(), 1U);
  queue.acknowledged(true);
  EXPECT_FALSE(queue.take());
}

TEST(EventQueue, WhatWasNotAcknowledgedGoesAgainAsItWas) {
  EventQueue queue("e1");
  add(queue, 1);
  const auto sent = queue.take();
  add(queue, 1);
  queue.acknowledged(false);
  EXPECT_FALSE(queue.take()) << "refused: not before the next connection";
  queue.connection_lost();
  EXPECT_EQ(queue.take(), sent);
  queue.acknowledged(true);
  EXPECT_EQ(json::parse(*queue.take())["first"], 2);
}

TEST(EventQueue, AFullQueueDropsTheOldestAndSaysSo) {
  EventQueue queue("e1");
  add(queue, 1);
  ASSERT_TRUE(queue.take());
  add(queue, EventQueue::kMost + 5);
  queue.acknowledged(true);
  const json batch = json::parse(*queue.take());
  EXPECT_EQ(batch["first"], 7);
  EXPECT_EQ(batch["dropped"], json({{"count", 5}, {"from", 2}, {"reason", "QueueFull"}}));
  queue.acknowledged(true);
  EXPECT_FALSE(json::parse(*queue.take()).contains("dropped"));
}

}  // namespace
}  // namespace wherry::simulate
