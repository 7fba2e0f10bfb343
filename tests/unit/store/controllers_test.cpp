// Runs of Jobs and what CronJobs have seen to: all of it or nothing, and still there afterwards.

#include <gmock/gmock.h>

#include "base/failpoint.h"
#include "tests/unit/store/store_fixture.h"

namespace wherry {
namespace {

JobRecord job(const std::string& name) {
  JobRecord record;
  record.name = name;
  record.cron_job = "tick";
  record.source = "devices/d";
  record.run = "0123456789abcdef";
  record.template_hash = "hash/3";
  record.scheduled_at = WallTime(std::chrono::seconds(1'790'000'000));
  record.phase = "Failed";
  record.reason = "BackoffLimitExceeded";
  record.message = "it failed";
  record.started_at = WallTime(std::chrono::seconds(1'790'000'001));
  record.finished_at = WallTime(std::chrono::seconds(1'790'000'002));
  record.succeeded = "0-4,7";
  record.attempts = "5:2";
  record.failed = 2;
  record.boot = "boot";
  record.clock = 42;
  record.lasted = 41;
  record.suspended = true;
  return record;
}

const CronRecord kCron{"tick", "devices/d", "@daily UTC", "1-2,5-6",
                       WallTime(std::chrono::seconds(6))};

TEST_F(StoreTest, ControllersComeBackAsTheyWereSaved) {
  ASSERT_OK(open()->save_controllers({{job("a"), job("b")}, {kCron}, {}, {}}));
  auto store = open();
  EXPECT_EQ(value(store->jobs()), (std::vector<JobRecord>{job("a"), job("b")}));
  EXPECT_EQ(value(store->cron_jobs()), std::vector<CronRecord>{kCron});
  JobRecord other = job("a");
  other.failed = 3;
  ASSERT_OK(store->save_controllers({{other}, {}, {"b"}, {"tick"}}));
  EXPECT_EQ(value(store->jobs()), std::vector<JobRecord>{other});
  EXPECT_TRUE(value(store->cron_jobs()).empty());
}

// A time is marked as seen to and its Job begun at once, or neither is.
TEST_F(StoreTest, ControllersAreSavedAllOrNothing) {
  auto store = open();
  failpoints_arm("store.save_controllers.commit=error");
  EXPECT_FALSE(store->save_controllers({{job("a")}, {kCron}, {}, {}}));
  failpoints_arm("");
  EXPECT_TRUE(value(store->jobs()).empty());
  EXPECT_TRUE(value(store->cron_jobs()).empty());
  ASSERT_OK(store->save_controllers({{job("a")}, {kCron}, {}, {}}));
  EXPECT_EQ(value(store->jobs()).size(), 1u);
}

}  // namespace
}  // namespace wherry
