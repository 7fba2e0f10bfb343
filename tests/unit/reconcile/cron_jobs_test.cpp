// CronJobs on a clock that tests own: no time is taken twice, and none while the clock is unknown.

#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"

namespace wherry::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class CronJobsTest : public BenchTest {
 protected:
  CronJobsTest() { set_clock("2026-09-21T12:00:30Z"); }

  void set_clock(const std::string& time) {
    clock_.set_wall(*parse_rfc3339(time));
    advance(seconds(0));
  }
  static std::string name(const std::string& time) {
    return cron_job_name("tick", *parse_rfc3339(time));
  }
  std::vector<std::string> jobs() {
    std::vector<std::string> names;
    for (const ControllerView& view : board_.get()->controllers) {
      if (view.kind == "Job") names.push_back(view.name);
    }
    return names;
  }
  void end(const std::string& pod, int code = 0) {
    ASSERT_TRUE(runtime_.exit_container(pod, "app", code)) << pod << " does not run";
    spin();
  }
  size_t starts() const { return runtime_.count(runtime::FakeRuntime::Op::StartContainer); }
};

TEST_F(CronJobsTest, StartsAJobWhenItsTimeComes) {
  apply(document(1, {cron_job("tick", "*/5 * * * *")}));
  EXPECT_EQ(starts(), 0u);
  EXPECT_EQ(controller("CronJob", "tick").phase, "Scheduled");
  EXPECT_EQ(to_rfc3339(controller("CronJob", "tick").next), "2026-09-21T12:05:00.000Z");
  advance(seconds(269));
  EXPECT_EQ(starts(), 0u);
  advance(seconds(1));
  const std::string job = name("2026-09-21T12:05:00Z");
  EXPECT_EQ(jobs(), std::vector<std::string>{job});
  EXPECT_EQ(workload(job).phase, Phase::Running);
  EXPECT_EQ(controller("Job", job).owner, "CronJob/tick");
  EXPECT_EQ(controller("CronJob", "tick").phase, "Active");
  end(job);
  EXPECT_EQ(controller("Job", job).phase, "Complete");
  EXPECT_EQ(records_.events("JobCreated"), 1u);
  advance(minutes(4));
  EXPECT_EQ(starts(), 1u);
}

TEST_F(CronJobsTest, ItWakesForTheTimeAndNotEarlierThanItMust) {
  apply(document(1, {cron_job("tick", "@hourly")}));
  advance(seconds(2));
  const auto wake = reconciler_->wake_at();
  ASSERT_TRUE(wake);
  EXPECT_GE(*wake - clock_.now(), seconds(20));
  const size_t writes = records_.writes;
  advance(seconds(31));
  EXPECT_EQ(records_.writes, writes) << "looking costs no write";
}

TEST_F(CronJobsTest, OfManyMissedTimesOneIsMadeUpFor) {
  apply(document(1, {cron_job("tick", "* * * * *")}));
  lanes_.drop_all();
  reconciler_.reset();
  clock_.advance(hours(30));
  fresh();
  spin();
  EXPECT_EQ(jobs(), std::vector<std::string>{name("2026-09-22T18:00:00Z")});
  spin();
  EXPECT_EQ(starts(), 1u);
}

TEST_F(CronJobsTest, AClockThatJumpsForwardStartsOne) {
  apply(document(1, {cron_job("tick", "0 * * * *")}));
  set_clock("2027-03-01T00:30:00Z");
  EXPECT_EQ(jobs(), std::vector<std::string>{name("2027-03-01T00:00:00Z")});
  EXPECT_EQ(starts(), 1u);
}

TEST_F(CronJobsTest, AClockThatIsSetBackTakesNoTimeTwiceAndGoesOn) {
  apply(document(1, {cron_job("tick", "0 * * * *", "successfulJobsHistoryLimit: 100, ")}));
  set_clock("2026-09-21T13:00:01Z");
  set_clock("2026-09-21T14:00:01Z");
  EXPECT_EQ(starts(), 2u);
  set_clock("2026-09-21T12:59:00Z");
  advance(minutes(2));  // 13:00 has been
  set_clock("2026-09-21T14:01:00Z");
  EXPECT_EQ(starts(), 2u);
  fresh();
  spin();
  EXPECT_EQ(starts(), 2u);
  set_clock("2026-09-21T15:00:01Z");
  EXPECT_EQ(starts(), 3u);
  set_clock("2026-09-21T10:30:00Z");
  advance(minutes(31));
  EXPECT_EQ(starts(), 4u) << "11:00 has never been";
}

// What was only jumped over while the clock was wrong is still to come.
TEST_F(CronJobsTest, AClockThatWasFarAheadBlocksNothing) {
  apply(document(1, {cron_job("tick", "0 * * * *")}));
  set_clock("2036-01-01T00:00:30Z");
  EXPECT_EQ(starts(), 1u);
  set_clock("2026-09-21T13:30:00Z");
  EXPECT_EQ(starts(), 1u);
  advance(minutes(31));
  EXPECT_EQ(starts(), 2u);
  EXPECT_EQ(to_rfc3339(controller("CronJob", "tick").next), "2026-09-21T15:00:00.000Z");
}

TEST_F(CronJobsTest, NothingStartsWhileTheClockIsUnknown) {
  clock_doubt_ = "nothing keeps the clock synchronised";
  apply(document(1, {cron_job("tick", "* * * * *")}));
  advance(hours(1));
  EXPECT_EQ(starts(), 0u);
  EXPECT_EQ(controller("CronJob", "tick").phase, "Waiting");
  EXPECT_EQ(controller("CronJob", "tick").reason, "ClockNotSynchronised");
  EXPECT_EQ(controller("CronJob", "tick").message, clock_doubt_);
  clock_doubt_.clear();
  advance(seconds(30));
  EXPECT_EQ(starts(), 0u) << "times before the clock was known are not missed ones";
  EXPECT_EQ(controller("CronJob", "tick").phase, "Scheduled");
  advance(minutes(1));
  EXPECT_EQ(starts(), 1u);
}

TEST_F(CronJobsTest, ForbidWaitsAndThenMakesUpForOne) {
  apply(document(1, {cron_job("tick", "* * * * *", "concurrencyPolicy: Forbid, ")}));
  advance(seconds(31));
  const std::string first = name("2026-09-21T12:01:00Z");
  EXPECT_EQ(workload(first).phase, Phase::Running);
  advance(minutes(3));
  EXPECT_EQ(starts(), 1u);
  EXPECT_EQ(controller("CronJob", "tick").reason, "JobAlreadyActive");
  end(first);
  EXPECT_EQ(starts(), 2u);
  EXPECT_EQ(workload(name("2026-09-21T12:04:00Z")).phase, Phase::Running);
}

TEST_F(CronJobsTest, AllowRunsSeveralAndReplaceOne) {
  apply(document(1, {cron_job("tick", "* * * * *")}));
  advance(seconds(31));
  advance(minutes(1));
  EXPECT_EQ(controller("CronJob", "tick").active, 2u);
  apply(document(2, {cron_job("tick", "* * * * *", "concurrencyPolicy: Replace, ")}));
  advance(minutes(1));
  EXPECT_EQ(jobs(), std::vector<std::string>{name("2026-09-21T12:03:00Z")});
  EXPECT_EQ(runtime_.prepared().size(), 1u);
}

TEST_F(CronJobsTest, JobsThatNeverEndAreBounded) {
  apply(document(1, {cron_job("tick", "* * * * *")}));
  advance(seconds(31));
  for (int minute = 0; minute < 105; ++minute) advance(minutes(1));
  EXPECT_EQ(controller("CronJob", "tick").active, 100u);
  EXPECT_EQ(controller("CronJob", "tick").reason, "TooManyJobs");
  EXPECT_EQ(starts(), 100u);
}

TEST_F(CronJobsTest, StartingDeadlineLetsOldTimesGo) {
  apply(document(1, {cron_job("tick", "0 * * * *", "startingDeadlineSeconds: 60, ")}));
  set_clock("2026-09-21T13:02:00Z");
  EXPECT_EQ(starts(), 0u);
  set_clock("2026-09-21T14:00:59Z");
  EXPECT_EQ(starts(), 1u);
}

TEST_F(CronJobsTest, SuspendStartsNothing) {
  apply(document(1, {cron_job("tick", "* * * * *", "suspend: true, ")}));
  advance(minutes(10));
  EXPECT_EQ(starts(), 0u);
  EXPECT_EQ(controller("CronJob", "tick").phase, "Suspended");
}

TEST_F(CronJobsTest, HistoryIsKeptAsFarAsWanted) {
  apply(document(1, {cron_job("tick", "* * * * *",
                              "successfulJobsHistoryLimit: 2, failedJobsHistoryLimit: 1, ",
                              "backoffLimit: 0, ")}));
  advance(seconds(31));
  for (int minute = 1; minute <= 6; ++minute) {
    end(name("2026-09-21T12:0" + std::to_string(minute) + ":00Z"), minute % 2);
    advance(minutes(1));
  }
  size_t complete = 0, failed = 0;
  for (const ControllerView& view : board_.get()->controllers) {
    complete += view.phase == "Complete" ? 1 : 0;
    failed += view.kind == "Job" && view.phase == "Failed" ? 1 : 0;
  }
  EXPECT_EQ(complete, 2u);
  EXPECT_EQ(failed, 1u);
  EXPECT_EQ(runtime_.prepared().size(), 4u) << "and the one that runs";
  EXPECT_EQ(desired().state, "Applied") << "one bad night is not the document's";
}

TEST_F(CronJobsTest, ARestartOfTheAgentStartsNothingTwice) {
  apply(document(1, {cron_job("tick", "* * * * *")}));
  advance(seconds(31));
  const std::string job = name("2026-09-21T12:01:00Z");
  const uint32_t before = pid(job);
  fresh();
  spin();
  EXPECT_EQ(pid(job), before);
  EXPECT_EQ(starts(), 1u);
}

TEST_F(CronJobsTest, TimeZonesAreKept) {
  apply(document(1, {cron_job("tick", "0 15 * * *", "timeZone: Europe/Berlin, ")}));
  EXPECT_EQ(to_rfc3339(controller("CronJob", "tick").next), "2026-09-21T13:00:00.000Z");
}

TEST_F(CronJobsTest, ARemovedOneTakesItsJobsAlong) {
  apply(document(1, {cron_job("tick", "* * * * *")}));
  advance(seconds(31));
  apply(document(2, {}));
  EXPECT_TRUE(board_.get()->controllers.empty());
  EXPECT_TRUE(runtime_.prepared().empty());
  EXPECT_TRUE(records_.cron_rows.empty());
  EXPECT_TRUE(records_.job_rows.empty());
}

}  // namespace
}  // namespace wherry::test
