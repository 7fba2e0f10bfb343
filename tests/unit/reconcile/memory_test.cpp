// What an end of a container does to its memory: counts, pauses, and once only.

#include <gtest/gtest.h>

#include "tests/unit/reconcile/specs.h"

namespace wherry::test {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class MemoryTest : public testing::Test {
 protected:
  std::vector<ContainerNote> see(runtime::ContainerStatus status) {
    const runtime::PodStatus pod = pod_of(spec_, {std::move(status)});
    return remember(memory_, {pod, &spec_, now_, 0});
  }
  // Runs for `time` with the next attempt, then ends; the pause before the one after.
  Duration life(Duration time, int32_t code = 1) {
    const uint32_t attempt = past().next_attempt();
    see(running("web", "app", attempt));
    now_ += time;
    see(exited("web", "app", code, attempt));
    return past().not_before - now_;
  }
  ContainerMemory& past() { return memory_.containers["app"]; }

  WorkloadSpec spec_ = workload("web");
  WorkloadMemory memory_;
  MonoTime now_{std::chrono::hours(1)};
};

TEST_F(MemoryTest, TheFirstRestartIsImmediateThenPausesDoubleUpToFiveMinutes) {
  const std::vector<Duration> pauses = {seconds(0),   seconds(10),  seconds(20),
                                        seconds(40),  seconds(80),  seconds(160),
                                        seconds(300), seconds(300), seconds(300)};
  for (const Duration pause : pauses) {
    EXPECT_EQ(life(seconds(1)), pause);
    now_ += pause;
  }
  EXPECT_EQ(past().attempt, 8u);
}

TEST_F(MemoryTest, TenMinutesOfRunningAreARecovery) {
  for (int i = 0; i < 5; ++i) life(seconds(1));
  EXPECT_GT(life(minutes(10) - seconds(1)), seconds(0));
  EXPECT_EQ(life(minutes(10)), seconds(0));
  EXPECT_EQ(life(seconds(1)), seconds(10));
}

TEST_F(MemoryTest, AnotherSpecStartsFromNothing) {
  for (int i = 0; i < 5; ++i) life(seconds(1));
  spec_ = workload("web", "2");
  see(running("web", "app"));
  EXPECT_EQ(past().attempt, 0u);
  now_ += seconds(1);
  see(exited("web", "app", 1));
  EXPECT_EQ(past().not_before, now_);
}

TEST_F(MemoryTest, AnEndIsCountedOnce) {
  see(running("web", "app"));
  EXPECT_FALSE(see(exited("web", "app", 3)).empty());
  const uint32_t failures = past().failures;
  EXPECT_TRUE(see(exited("web", "app", 3)).empty());
  EXPECT_EQ(past().failures, failures);
  EXPECT_EQ(past().exit_code, 3);
  EXPECT_EQ(past().reason, "Error");
  EXPECT_EQ(past().next_attempt(), 1u);
}

TEST_F(MemoryTest, AnEndThatNobodySawHasOneAttemptAtOnceAndTheCountGoesOn) {
  see(exited("web", "app", 1, 6));
  EXPECT_LE(past().not_before, now_);
  EXPECT_EQ(past().next_attempt(), 7u);
  EXPECT_EQ(life(seconds(1)), seconds(300)) << "the pause continues where it was";
}

TEST_F(MemoryTest, ARebootIsNotAnEnd) {
  see(running("web", "app", 2));
  runtime::ContainerStatus status = exited("web", "app", 255, 2);
  status.before_boot = true;
  EXPECT_TRUE(see(status).empty());
  EXPECT_FALSE(past().ended);
  EXPECT_EQ(past().next_attempt(), 2u);
}

TEST_F(MemoryTest, WhatHadEndedBeforeTheRebootStaysEnded) {
  past().hash = spec_.pod.hash;
  past().ended = true;
  past().exit_code = 0;
  runtime::ContainerStatus status = exited("web", "app", 255);
  status.before_boot = true;
  see(status);
  EXPECT_TRUE(past().ended);
  EXPECT_EQ(past().exit_code, 0);
}

TEST_F(MemoryTest, ReasonsAreKubernetesOnes) {
  see(running("web", "app"));
  runtime::ContainerStatus status = exited("web", "app", 137);
  status.oom_killed = true;
  see(status);
  EXPECT_EQ(past().reason, "OOMKilled");
  see(running("web", "app", 1));
  see(exited("web", "app", 0, 1));
  EXPECT_EQ(past().reason, "Completed");
  see(running("web", "app", 2));
  status = exited("web", "app", 255, 2);
  status.finished_at = {};
  see(status);
  EXPECT_EQ(past().reason, "ContainerStatusUnknown");
}

TEST_F(MemoryTest, AnEndWhileStoppingHasNoBackoff) {
  see(running("web", "app"));
  memory_.kill_at = now_ + seconds(30);
  see(exited("web", "app", 143));
  EXPECT_TRUE(past().ended);
  EXPECT_EQ(past().failures, 0u);
}

TEST_F(MemoryTest, ALateLookAtAnEarlierAttemptChangesNothing) {
  see(running("web", "app", 3));
  EXPECT_TRUE(see(exited("web", "app", 1, 2)).empty());
  EXPECT_EQ(past().attempt, 3u);
  EXPECT_FALSE(past().ended);
}

TEST_F(MemoryTest, CountersSaturate) {
  see(running("web", "app"));
  past().failures = UINT32_MAX;
  see(exited("web", "app", 1));
  EXPECT_EQ(past().failures, UINT32_MAX);
  EXPECT_EQ(past().not_before - now_, minutes(5));
}

}  // namespace
}  // namespace wherry::test
