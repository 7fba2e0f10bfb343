// Jobs on a container stack in memory: counted exactly, whatever happens to the agent.

#include <gmock/gmock.h>

#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"

namespace wherry::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Op = runtime::FakeRuntime::Op;

class JobsTest : public BenchTest {
 protected:
  void end(const std::string& pod, int code) {
    ASSERT_TRUE(runtime_.exit_container(pod, "app", code)) << pod << " does not run";
    spin();
  }
  void new_life() {
    fresh();
    spin();
  }
  size_t starts() const { return runtime_.count(Op::StartContainer); }
};

TEST_F(JobsTest, RunsOnceAndIsComplete) {
  apply(document(1, {job("work")}));
  EXPECT_EQ(workload("work").phase, Phase::Running);
  EXPECT_EQ(workload("work").owner, "Job/work");
  EXPECT_EQ(controller("Job", "work").phase, "Active");
  EXPECT_EQ(controller("Job", "work").active, 1u);
  end("work", 0);
  const ControllerView done = controller("Job", "work");
  EXPECT_EQ(done.phase, "Complete");
  EXPECT_EQ(done.succeeded, 1u);
  EXPECT_EQ(done.failed, 0u);
  EXPECT_EQ(workload("work").phase, Phase::Succeeded) << "its log can be read";
  EXPECT_EQ(desired().state, "Applied");
  EXPECT_EQ(records_.events("Completed"), 2u) << "of the container, and of the Job";
  advance(hours(1));
  EXPECT_EQ(starts(), 1u);
}

TEST_F(JobsTest, AFinishedJobNeverRunsAgain) {
  apply(document(1, {job("work")}));
  end("work", 0);
  new_life();
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
  runtime_.reboot();
  boot_ = "boot-2";
  new_life();
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
  // Nor when its Pod and what was remembered of it are gone.
  ASSERT_TRUE(runtime_.remove_pod("work"));
  records_.histories.clear();
  new_life();
  // Nor when only the latter is.
  advance(hours(1));
  // Nor when the tag names another image now.
  images_.add("img:1");
  mailbox_.post_event({runtime::Event::Kind::ImagesChanged, "", "", ""});
  spin();
  EXPECT_EQ(starts(), 1u);
  EXPECT_EQ(controller("Job", "work").succeeded, 1u);
}

TEST_F(JobsTest, AMemoryThatIsLostStartsNothingAgain) {
  apply(document(1, {job("work")}));
  end("work", 0);
  runtime_.reboot();  // how its container ended is gone
  records_.histories.clear();
  boot_ = "boot-2";
  new_life();
  advance(hours(1));
  EXPECT_EQ(starts(), 1u);
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
}

TEST_F(JobsTest, AnEndWhileTheAgentWasAwayIsCountedOnce) {
  apply(document(1, {job("work", "completions: 2, ")}));
  lanes_.drop_all();
  reconciler_.reset();
  ASSERT_TRUE(runtime_.exit_container("work-0", "app", 0));
  new_life();
  EXPECT_EQ(controller("Job", "work").succeeded, 1u);
  new_life();
  EXPECT_EQ(controller("Job", "work").succeeded, 1u);
  EXPECT_EQ(workload("work-1").phase, Phase::Running);
  end("work-1", 0);
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
  EXPECT_EQ(starts(), 2u);
}

TEST_F(JobsTest, WhatIsCountedIsOnDiskBeforeAnythingFollowsFromIt) {
  apply(document(1, {job("work", "completions: 2, ")}));
  records_.works = false;
  end("work-0", 0);
  EXPECT_EQ(starts(), 1u) << "the next index waits until the first is stored";
  EXPECT_EQ(controller("Job", "work").succeeded, 0u);
  EXPECT_FALSE(condition("StoreReady").status);
  records_.works = true;
  advance(seconds(11));
  EXPECT_EQ(controller("Job", "work").succeeded, 1u);
  EXPECT_EQ(starts(), 2u);
}

TEST_F(JobsTest, AJobThatCannotBeStoredDoesNotBegin) {
  apply(document(1, {job("work", "suspend: true, ")}));
  apply(document(2, {}));
  publish(document(3, {job("other")}));
  reconciler_->step();
  records_.works = false;
  spin();
  records_.works = true;
  advance(seconds(11));
  EXPECT_EQ(controller("Job", "other").phase, "Active");
}

TEST_F(JobsTest, RetriesAfterAPauseUntilBackoffLimit) {
  apply(document(1, {job("work", "backoffLimit: 2, ")}));
  for (uint32_t failures = 1; failures <= 2; ++failures) {
    end("work", 3);
    EXPECT_EQ(controller("Job", "work").failed, failures);
    EXPECT_EQ(controller("Job", "work").phase, "Active");
    EXPECT_EQ(workload("work").phase, Phase::Failed) << "its log can be read meanwhile";
    EXPECT_EQ(starts(), failures);
    advance(seconds(5));
    EXPECT_EQ(starts(), failures) << "at once";
    advance(seconds(30));
    EXPECT_EQ(starts(), failures + 1);
    EXPECT_EQ(workload("work").phase, Phase::Running);
  }
  end("work", 3);
  const ControllerView failed = controller("Job", "work");
  EXPECT_EQ(failed.phase, "Failed");
  EXPECT_EQ(failed.reason, "BackoffLimitExceeded");
  EXPECT_EQ(failed.failed, 3u);
  EXPECT_EQ(desired().state, "Failed");
  EXPECT_EQ(workload("work").phase, Phase::Failed);
  advance(hours(10));
  new_life();
  EXPECT_EQ(controller("Job", "work").failed, 3u);
  EXPECT_EQ(starts(), 3u);
}

TEST_F(JobsTest, FailuresAreCountedAcrossLives) {
  apply(document(1, {job("work", "backoffLimit: 1, ")}));
  end("work", 1);
  new_life();
  EXPECT_EQ(controller("Job", "work").failed, 1u);
  EXPECT_EQ(workload("work").phase, Phase::Running) << "a new life tries at once";
  end("work", 1);
  EXPECT_EQ(controller("Job", "work").reason, "BackoffLimitExceeded");
}

TEST_F(JobsTest, OnFailureRestartsTheSamePodAndEachEndCounts) {
  apply(document(1, {job("work", "backoffLimit: 1, ", "OnFailure")}));
  end("work", 1);
  EXPECT_EQ(controller("Job", "work").phase, "Active");
  advance(seconds(30));
  EXPECT_EQ(workload("work").containers[0].restarts, 1u);
  end("work", 1);
  EXPECT_EQ(controller("Job", "work").reason, "BackoffLimitExceeded");
  EXPECT_EQ(controller("Job", "work").failed, 2u);
  for (int life = 0; life < 2; ++life) {
    advance(hours(1));
    EXPECT_EQ(starts(), 2u);
    EXPECT_EQ(runtime_.count(Op::RemovePod), 0u) << "its log can be read";
    EXPECT_EQ(workload("work").phase, Phase::Failed);
    EXPECT_THAT(workload("work").message, testing::HasSubstr("exit code 1"));
    new_life();
  }
  apply(document(2, {}));
  EXPECT_EQ(runtime_.count(Op::RemovePod), 1u);
}

TEST_F(JobsTest, WhatStillRunsWhenItsJobFailsIsRemoved) {
  apply(
      document(1, {job("work", "completions: 2, parallelism: 2, backoffLimit: 0, ", "OnFailure")}));
  end("work-1", 1);
  EXPECT_EQ(controller("Job", "work").reason, "BackoffLimitExceeded");
  spin();
  EXPECT_EQ(workload("work-1").phase, Phase::Failed);
  const auto pods = runtime_.observe();
  EXPECT_EQ(pods->size(), 1u);
}

TEST_F(JobsTest, SeveralCompletionsInParallel) {
  apply(document(1, {job("work", "completions: 4, parallelism: 2, ")}));
  EXPECT_EQ(workload("work-0").phase, Phase::Running);
  EXPECT_EQ(workload("work-1").phase, Phase::Running);
  EXPECT_EQ(starts(), 2u);
  end("work-1", 0);
  EXPECT_EQ(workload("work-2").phase, Phase::Running);
  EXPECT_EQ(starts(), 3u);
  end("work-0", 0);
  end("work-2", 0);
  end("work-3", 0);
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
  EXPECT_EQ(controller("Job", "work").succeeded, 4u);
  EXPECT_EQ(starts(), 4u);
}

TEST_F(JobsTest, WithoutCompletionsOneSuccessIsEnoughAndTheOthersEndByThemselves) {
  apply(document(1, {job("work", "parallelism: 3, ")}));
  EXPECT_EQ(starts(), 3u);
  end("work-1", 0);
  EXPECT_EQ(controller("Job", "work").phase, "Active");
  end("work-0", 0);
  end("work-2", 0);
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
  EXPECT_EQ(starts(), 3u);
}

TEST_F(JobsTest, AChangedTemplateIsANewRunOtherChangesAreNot) {
  images_.add("img:2");
  apply(document(1, {job("work")}));
  end("work", 0);
  apply(document(2, {job("work", "backoffLimit: 1, ttlSecondsAfterFinished: 1000, ")}));
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
  EXPECT_EQ(starts(), 1u);
  apply(document(3, {job("work", "", "Never", "img:2")}));
  EXPECT_EQ(controller("Job", "work").phase, "Active");
  EXPECT_EQ(workload("work").phase, Phase::Running);
  EXPECT_EQ(starts(), 2u);
}

TEST_F(JobsTest, ARemovedJobThatComesBackRunsAgain) {
  apply(document(1, {job("work")}));
  end("work", 0);
  apply(document(2, {}));
  EXPECT_TRUE(records_.job_rows.empty());
  EXPECT_TRUE(runtime_.prepared().empty());
  apply(document(3, {job("work")}));
  EXPECT_EQ(starts(), 2u);
}

TEST_F(JobsTest, TheDeadlineGoesOnWhileTheAgentIsAway) {
  apply(document(1, {job("work", "activeDeadlineSeconds: 600, ")}));
  advance(minutes(4));
  lanes_.drop_all();
  reconciler_.reset();
  clock_.advance(minutes(5));
  new_life();
  EXPECT_EQ(controller("Job", "work").phase, "Active");
  const auto wake = reconciler_->wake_at();
  ASSERT_TRUE(wake);
  EXPECT_LE(*wake - clock_.now(), minutes(1));
  advance(minutes(1));
  EXPECT_EQ(controller("Job", "work").reason, "DeadlineExceeded");
  EXPECT_TRUE(runtime_.prepared().empty()) << "what ran is stopped and removed";
}

TEST_F(JobsTest, AWrongWallClockDecidesNothing) {
  apply(document(1, {job("work", "activeDeadlineSeconds: 600, ")}));
  clock_.set_wall(WallTime(seconds(4'000'000'000)));
  advance(seconds(1));
  EXPECT_EQ(controller("Job", "work").phase, "Active");
}

TEST_F(JobsTest, TimeToLiveRemovesThePodsAndNotTheResult) {
  apply(document(1, {job("work", "ttlSecondsAfterFinished: 60, ")}));
  end("work", 0);
  EXPECT_EQ(workload("work").phase, Phase::Succeeded);
  advance(seconds(61));
  EXPECT_TRUE(runtime_.prepared().empty());
  EXPECT_TRUE(board_.get()->workloads.empty());
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
  new_life();
  advance(hours(1));
  EXPECT_EQ(starts(), 1u);
}

TEST_F(JobsTest, SuspendStopsAndResumeStartsAnew) {
  apply(document(1, {job("work", "suspend: true, ")}));
  EXPECT_EQ(controller("Job", "work").phase, "Suspended");
  EXPECT_EQ(starts(), 0u);
  apply(document(2, {job("work")}));
  EXPECT_EQ(workload("work").phase, Phase::Running);
  apply(document(3, {job("work", "suspend: true, ")}));
  EXPECT_TRUE(runtime_.prepared().empty());
  EXPECT_EQ(controller("Job", "work").phase, "Suspended");
  EXPECT_EQ(controller("Job", "work").failed, 0u);
}

TEST_F(JobsTest, AMovedTagLeavesARunningAttemptAlone) {
  apply(document(1, {job("work")}));
  const uint32_t before = pid("work");
  images_.add("img:1", "sha256:" + std::string(64, 'f'));
  mailbox_.post_event({runtime::Event::Kind::ImagesChanged, "", "", ""});
  spin();
  EXPECT_EQ(pid("work"), before);
}

TEST_F(JobsTest, FinishedPodsOfALargeJobAreBounded) {
  apply(document(1, {job("work", "completions: 15, ")}));
  for (int i = 0; i < 15; ++i) end("work-" + std::to_string(i), 0);
  EXPECT_EQ(controller("Job", "work").succeeded, 15u);
  EXPECT_EQ(runtime_.prepared().size(), 10u);
  EXPECT_TRUE(runtime_.prepared().contains("work-14"));
}

}  // namespace
}  // namespace wherry::test
