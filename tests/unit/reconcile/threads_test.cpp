// The reconciler as it runs in production: its own thread, real lanes, a real clock.

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/reconcile/reconciler.h"
#include "base/log.h"
#include "runtime/fake/fake_runtime.h"
#include "tests/unit/reconcile/documents.h"
#include "tests/unit/reconcile/memory_records.h"

namespace wherry::test {
namespace {

// Real, but can be put forward.
class SkippingClock final : public Clock {
 public:
  MonoTime now() const override { return real_.now() + skipped_.load(); }
  WallTime wall() const override { return real_.wall(); }
  void skip(Duration by) { skipped_ = by; }

 private:
  SystemClock real_;
  std::atomic<Duration> skipped_{Duration::zero()};
};

class ThreadsTest : public testing::Test {
 protected:
  ThreadsTest() {
    log_set_level(LogLevel::Off);
    images_.add("img:1");
    images_.publish("far:1");
    ReconcilerOptions options;
    options.sources = {"devices/d"};
    options.facts = {"host", "amd64", {}};
    reconciler_ = std::make_unique<Reconciler>(
        ReconcilerParts{runtime_, images_, records_, board_, *lanes_, mailbox_, clock_,
                        [this](std::string json) { published(std::move(json)); },
                        [] { return Result<std::string>("1.6.20"); }},
        options);
    mailbox_.post([](Mail& mail) { mail.manifests = LocalManifests{}; });
    reconciler_->start();
    runtime_.watch([this](const runtime::Event& event) { mailbox_.post_event(event); });
    loop_ = std::thread([this] { reconciler_->run(); });
  }
  ~ThreadsTest() override {
    mailbox_.post([](Mail& mail) { mail.stop = true; });
    loop_.join();
    EXPECT_TRUE(lanes_->wait_idle(std::chrono::seconds(10)));
    lanes_.reset();
  }

  void published(std::string json) {
    std::unique_lock lock(mutex_);
    newest_ = std::move(json);
    changed_.notify_all();
    // Of the reconciler's thread.
    if (newest_.find(hold_at_) != std::string::npos) released_.wait(lock, [&] { return !held_; });
  }
  void hold_at(const std::string& part) {
    const std::lock_guard lock(mutex_);
    hold_at_ = part, held_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    released_.notify_all();
  }
  bool wait_published(const std::string& part) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return newest_.find(part) != std::string::npos; });
  }
  void publish(const std::string& payload) {
    mailbox_.post([&](Mail& mail) { mail.documents["devices/d"] = payload; });
  }

  SkippingClock clock_;
  runtime::FakeImages images_;
  runtime::FakeRuntime runtime_{images_, clock_};
  MemoryRecords records_;
  StateBoard board_;
  Mailbox mailbox_;
  std::unique_ptr<ThreadLanes> lanes_ = std::make_unique<ThreadLanes>(16, 2);
  std::unique_ptr<Reconciler> reconciler_;
  std::thread loop_;

  std::mutex mutex_;
  std::condition_variable changed_, released_;
  std::string newest_, hold_at_ = "nothing";
  bool held_ = false;
};

TEST_F(ThreadsTest, ManyWorkloadsStartRestartAndGo) {
  std::vector<std::string> items;
  for (int i = 0; i < 30; ++i) items.push_back(pod("w" + std::to_string(i)));
  publish(document(1, items));
  EXPECT_TRUE(wait_published(R"("state":"Applied")"));
  EXPECT_EQ(board_.get()->workloads.size(), 30u);
  EXPECT_EQ(board_.get()->device.containerd, "1.6.20");
  for (int i = 0; i < 30; ++i) runtime_.exit_container("w" + std::to_string(i), "app", 1);
  EXPECT_TRUE(
      wait_published(R"("name":"w29","source":"devices/d","revision":1,"phase":"Running")"));
  publish(document(2, {}));
  EXPECT_TRUE(wait_published(R"("revision":2,)"));
  EXPECT_TRUE(wait_published(R"("workloads":[])"));
  EXPECT_TRUE(reconciler_->alive());
}

// What systemd's watchdog is fed by.
TEST_F(ThreadsTest, AStepThatDoesNotEndIsNotAlive) {
  hold_at(R"("revision":1,)");
  publish(document(1, {pod("web")}));
  ASSERT_TRUE(wait_published(R"("revision":1,)"));
  EXPECT_TRUE(reconciler_->alive()) << "not yet";
  clock_.skip(std::chrono::seconds(61));
  const Status stuck = reconciler_->alive();
  ASSERT_FALSE(stuck);
  EXPECT_THAT(stuck.error().message(),
              testing::MatchesRegex(".* at one step for [0-9]+m([0-9]+s)?"))
      << "nobody reads nanoseconds";
  release();
  EXPECT_TRUE(wait_published(R"("phase":"Running")"));
}

TEST_F(ThreadsTest, ItStopsAtOnceWhileADownloadAndAStartHang) {
  images_.hang_pull("far:1");
  runtime_.hang(runtime::FakeRuntime::Op::StartContainer, "stuck");
  publish(document(1, {pod("stuck"), pod("pulling", "far:1"), pod("fine")}));
  EXPECT_TRUE(runtime_.wait_for_hanging(1));
  EXPECT_TRUE(images_.wait_for_hanging_pulls(1));
  EXPECT_TRUE(
      wait_published(R"("name":"fine","source":"devices/d","revision":1,"phase":"Running")"));
}

TEST_F(ThreadsTest, WhatAPullLeftIsDroppedWhileAnArchiveIsRead) {
  std::promise<void> read;
  ASSERT_TRUE(lanes_->post(Lane::Local, [end = read.get_future().share()] { end.wait(); }));
  images_.hang_pull("far:1");
  publish(document(1, {pod("pulling", "far:1")}));
  EXPECT_TRUE(images_.wait_for_hanging_pulls(1));
  const size_t before = images_.dropped().size();
  publish(document(2, {}));
  EXPECT_TRUE(images_.wait_for_drops(before + 1));
  read.set_value();
}

TEST_F(ThreadsTest, ANewerDocumentCancelsAStartThatHangs) {
  runtime_.hang(runtime::FakeRuntime::Op::StartContainer, "web");
  images_.add("img:2");
  publish(document(1, {pod("web")}));
  ASSERT_TRUE(runtime_.wait_for_hanging(1));
  publish(document(2, {}));
  EXPECT_TRUE(wait_published(R"("revision":2,)"));
  EXPECT_TRUE(wait_published(R"("workloads":[])"));
  EXPECT_TRUE(runtime_.prepared().empty());
}

}  // namespace
}  // namespace wherry::test
