// What is shown of images on their way: here once a second, to the fleet seldom.
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/unit/reconcile/bench.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int64_t kMiB = 1 << 20;

TEST(PullView, Percent) {
  EXPECT_FALSE((PullView{"a", 5, 0, 0}.percent()));
  EXPECT_EQ((PullView{"a", 0, 10, 0}.percent()), 0);
  EXPECT_EQ((PullView{"a", 999, 1000, 0}.percent()), 99) << "100 is only what is all there";
  EXPECT_EQ((PullView{"a", 10, 10, 0}.percent()), 100);
  EXPECT_EQ((PullView{"a", 11, 10, 0}.percent()), 100);
  EXPECT_EQ((PullView{"a", INT64_MAX, INT64_MAX, 0}.percent()), 100);
}

TEST(PullView, SeveralAreSummedUpAndAnUnknownSizeMakesNoPercentage) {
  EXPECT_EQ(progress_text({}), "");
  EXPECT_EQ(progress_text({{"a", 0, 0, 0}}), "");
  EXPECT_EQ(progress_text({{"a", 45 * kMiB, 100 * kMiB, kMiB}}), "45 % of 100.0 MiB, 1.0 MiB/s");
  EXPECT_EQ(progress_text({{"a", 50 * kMiB, 100 * kMiB, 0}, {"b", 0, 100 * kMiB, 0}}),
            "25 % of 200.0 MiB");
  EXPECT_EQ(progress_text({{"a", 50 * kMiB, 100 * kMiB, kMiB}, {"b", 0, 0, 0}}),
            "50.0 MiB so far, 1.0 MiB/s");
  EXPECT_EQ(progress_text({{"a", 50 * kMiB, 100 * kMiB, 0, 40 * kMiB}}),
            "50 % of 100.0 MiB; containerd first reads through the 40.0 MiB that are here");
}

class PullProgressTest : public BenchTest {
 protected:
  void start_pulling(const std::string& documents_pod) {
    images_.publish("slow:1");
    images_.publish("slow:2");
    publish(document(1, {documents_pod}));
    spin(false);
    advance_only(seconds(30));  // what was gathered goes up
    advance_only(seconds(30));
    published_.clear();
  }
  // Time passes, and pulls go on.
  void advance_only(Duration by) {
    clock_.advance(by);
    spin(false);
  }
  void progress(int percent, int64_t rate = kMiB, const std::string& image = "slow:1") {
    mailbox_.post_progress(image, {percent * kMiB, 100 * kMiB, rate});
    spin(false);
  }
  json last_upstream() const { return json::parse(published_.back()).at("workloads").at(0); }
};

TEST_F(PullProgressTest, IsShownHereAtOnceWithNumbers) {
  start_pulling(pod("web", "slow:1"));
  EXPECT_EQ(workload("web").message, "pulling slow:1");
  progress(45);
  EXPECT_EQ(workload("web").message, "pulling slow:1: 45 % of 100.0 MiB, 1.0 MiB/s");
  const json shown = json::parse(to_json(workload("web")));
  EXPECT_EQ(shown.at("phase"), "Pulling");
  EXPECT_EQ(shown.at("pulls").at(0), (json{{"image", "slow:1"},
                                           {"percent", 45},
                                           {"doneBytes", 45 * kMiB},
                                           {"totalBytes", 100 * kMiB},
                                           {"bytesPerSecond", kMiB}}));
  progress(46, 0);
  EXPECT_EQ(workload("web").message, "pulling slow:1: 46 % of 100.0 MiB");
  spin();  // it is done
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_TRUE(workload("web").pulls.empty());
  EXPECT_FALSE(json::parse(to_json(workload("web"))).contains("pulls"));
}

TEST_F(PullProgressTest, TheFleetHearsOfEachTenthAndNotWithinTenSeconds) {
  start_pulling(pod("web", "slow:1"));
  progress(0);
  ASSERT_EQ(published_.size(), 1u) << "its size is known";
  EXPECT_EQ(last_upstream().at("message"), "pulling slow:1: 0 % of 100.0 MiB, 1.0 MiB/s");
  for (int percent = 1; percent < 10; ++percent) {
    clock_.advance(seconds(10));
    progress(percent);
  }
  EXPECT_EQ(published_.size(), 1u);
  clock_.advance(seconds(10));
  progress(10);
  ASSERT_EQ(published_.size(), 2u);
  EXPECT_EQ(last_upstream().at("pulls").at(0).at("percent"), 10);
  for (int percent = 11; percent < 60; ++percent) {  // a fast link
    clock_.advance(milliseconds(200));
    progress(percent);
  }
  EXPECT_EQ(published_.size(), 2u);
  clock_.advance(seconds(1));
  progress(60);
  ASSERT_EQ(published_.size(), 3u);
  EXPECT_EQ(last_upstream().at("pulls").at(0).at("percent"), 60);
}

TEST_F(PullProgressTest, ATrickleIsToldEveryFiveMinutesAndAHaltOnce) {
  start_pulling(pod("web", "slow:1"));
  progress(0);
  published_.clear();
  clock_.advance(minutes(3));
  progress(1);
  EXPECT_TRUE(published_.empty());
  clock_.advance(minutes(2));
  progress(1);
  ASSERT_EQ(published_.size(), 1u);
  clock_.advance(minutes(5));
  progress(1);
  EXPECT_EQ(published_.size(), 1u) << "not a percent further";
  progress(1, 0);
  ASSERT_EQ(published_.size(), 2u);
  EXPECT_EQ(last_upstream().at("message"), "pulling slow:1: 1 % of 100.0 MiB") << "it halts";
  for (int i = 0; i < 100; ++i) {  // a link that comes and goes
    clock_.advance(minutes(5));
    progress(1, i % 2 * kMiB);
  }
  EXPECT_EQ(published_.size(), 2u);
}

// The bound that docs/topics.md promises, on a link so slow that it takes weeks.
TEST_F(PullProgressTest, ProgressAloneIsToldSomeHundredTimesAnImageAtMost) {
  start_pulling(pod("web", "slow:1"));
  for (int minute = 0; minute < 100 * 60; ++minute) {
    clock_.advance(minutes(1));
    progress(minute / 60);
  }
  EXPECT_LE(published_.size(), 101u);
  EXPECT_GE(published_.size(), 20u);
}

TEST_F(PullProgressTest, WhatGoesUpAnywayTakesTheNewestNumbersAlong) {
  start_pulling(pod("web", "slow:1"));
  progress(0);
  published_.clear();
  clock_.advance(seconds(2));
  progress(5);
  ASSERT_TRUE(published_.empty());
  LinkStatus link;
  link.connected = true;
  mailbox_.post([&](Mail& mail) { mail.link = link; });
  spin(false);
  ASSERT_EQ(published_.size(), 1u);
  EXPECT_EQ(last_upstream().at("pulls").at(0).at("percent"), 5);
}

TEST_F(PullProgressTest, ManyWaitForOneImageAndOneWaitsForMany) {
  images_.publish("slow:1");
  images_.publish("slow:2");
  const std::string two =
      "{ apiVersion: v1, kind: Pod, metadata: { name: two }, spec: { hostNetwork: true, "
      "containers: "
      "[{ name: a, image: \"slow:1\" }, { name: b, image: \"slow:2\" }] } }\n";
  publish(document(1, {pod("one", "slow:1"), two}));
  spin(false);
  progress(50, kMiB, "slow:1");
  EXPECT_EQ(workload("one").message, "pulling slow:1: 50 % of 100.0 MiB, 1.0 MiB/s");
  EXPECT_EQ(workload("two").message, "pulling 2 images: 50.0 MiB so far, 1.0 MiB/s");
  progress(100, 2 * kMiB, "slow:2");
  EXPECT_EQ(workload("two").message, "pulling 2 images: 75 % of 200.0 MiB, 3.0 MiB/s");
  EXPECT_EQ(workload("two").pulls.size(), 2u);
}

TEST_F(PullProgressTest, NobodyWakesUpForProgressUnlessThereIsSome) {
  start_pulling(pod("web", "slow:1"));
  progress(1);
  advance_only(seconds(2));
  const auto wake = reconciler_->wake_at();
  ASSERT_TRUE(wake);
  EXPECT_GE(*wake - clock_.now(), minutes(3));
}

TEST(Mailbox, ProgressWakesAReaderOnlyWhenItsPatienceIsOver) {
  Mailbox box;
  std::thread pull([&] { box.post_progress("a", {1, 2}); });
  pull.join();
  const SystemClock clock;
  const MonoTime begin = clock.now();
  box.wait(minutes(1), milliseconds(30));
  EXPECT_GE(clock.now() - begin, milliseconds(30)) << "it was there, and it waited";
  EXPECT_FALSE(box.empty());
  EXPECT_EQ(box.take().progress.at("a").done_bytes, 1);
  EXPECT_TRUE(box.empty());
  std::thread other([&] { box.post([](Mail& mail) { mail.look_at_all = true; }); });
  box.wait(minutes(10), minutes(10));
  other.join();
  EXPECT_TRUE(box.take().look_at_all) << "other mail is read at once";
}

}  // namespace
}  // namespace wherry::test
