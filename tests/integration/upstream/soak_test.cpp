// The short form of ./dev soak: each trouble once, then some at random.

#include "tests/support/soak.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

namespace wherry::test {
namespace {

uint32_t seed() {
  const char* given = std::getenv("WHERRY_SOAK_SEED");
  return given == nullptr ? std::random_device()()
                          : static_cast<uint32_t>(std::strtoul(given, nullptr, 10));
}

TEST(Soak, WhatWasAcceptedArrivesOrIsAnnouncedAsDropped) {
  const uint32_t chosen = seed();
  std::printf("again with: WHERRY_SOAK_SEED=%u\n", chosen);
  Soak soak(chosen);
  std::vector<Trouble> each(std::begin(kTroubles), std::end(kTroubles));
  std::shuffle(each.begin(), each.end(), soak.random());
  for (const Trouble trouble : each) soak.suffer({trouble});
  for (int i = 0; i < 3; ++i) soak.suffer_at_random();
  const StreamJudge::Verdict verdict = soak.finish();
  EXPECT_EQ(verdict.problems, std::vector<std::string>()) << tail(soak.agent_log());
  EXPECT_GE(verdict.streams, 5U) << "four of the workload, and events";
  EXPECT_GE(verdict.records + verdict.dropped, soak.accepted());
  EXPECT_GT(soak.accepted(), 0U);
  EXPECT_GT(soak.refused(), 0U) << "the troubles troubled nobody";
  EXPECT_EQ(soak.compare(), std::vector<std::string>());
}

}  // namespace
}  // namespace wherry::test
