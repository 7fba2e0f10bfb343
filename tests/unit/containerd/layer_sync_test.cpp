// Which layers are on the disk, and in which order that is noted.

#include "runtime/containerd/layer_sync.h"

#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry::runtime {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Error kBroken{Code::DataLoss, "a broken disk"};

class LayerSyncs : public ::testing::Test {
 protected:
  std::shared_ptr<LayerSync::Disk> disk() {
    return layers_->disk([this] {
      ++opened_;
      return LayerSync::Disk{[this] { return sync(); }};
    });
  }
  // Says first that it has begun, and ends when it may.
  Status sync() {
    std::unique_lock lock(mutex_);
    const int number = ++syncs_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return allowed_ >= number; });
    return number == broken_ ? Status(tl::unexpected(kBroken)) : Status();
  }
  void await_sync(int number) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return syncs_ >= number; }));
  }
  void allow(int syncs) {
    const std::lock_guard lock(mutex_);
    allowed_ = syncs;
    changed_.notify_all();
  }
  void add(const std::string& chain, const std::string& parent,
           std::shared_ptr<LayerSync::Disk> disk) {
    layers_->add(chain, parent, std::move(disk), [this, chain] {
      if (chain == refused_) return Status(tl::unexpected(kBroken));
      noted_.push_back(chain);
      return Status();
    });
  }
  Status wait(const std::string& chain) { return layers_->wait(chain, {}); }

  std::mutex mutex_;
  std::condition_variable changed_;
  int opened_ = 0, syncs_ = 0, allowed_ = 0, broken_ = 0;
  std::vector<std::string> noted_;  // guarded by being read after a wait only
  std::string refused_;
  std::unique_ptr<LayerSync> layers_ = std::make_unique<LayerSync>();
};

TEST_F(LayerSyncs, OneSyncStandsForAllThatWasUnpackedBefore) {
  const auto written = disk();
  add("a", "", written);
  await_sync(1);
  add("b", "a", disk());
  add("c", "b", disk());
  EXPECT_TRUE(layers_->is_pending("a") && layers_->is_pending("c"));
  allow(1);
  EXPECT_TRUE(wait("a"));
  await_sync(2);
  EXPECT_TRUE(layers_->is_pending("b")) << "it came after the first sync had begun";
  allow(2);
  EXPECT_TRUE(wait("c"));
  EXPECT_THAT(noted_, ElementsAre("a", "b", "c")) << "those below first";
  EXPECT_FALSE(layers_->is_pending("c"));
  EXPECT_EQ(syncs_, 2);
  EXPECT_EQ(opened_, 1);
  EXPECT_TRUE(wait("never added"));
}

TEST_F(LayerSyncs, WhatMayBeLostTakesAlongWhatIsBuiltOnIt) {
  broken_ = 1;
  const auto written = disk();
  add("a", "", written);
  await_sync(1);
  add("b", "a", written);
  allow(100);
  EXPECT_EQ(wait("b").error().message(), kBroken.message());
  EXPECT_EQ(wait("a").error().code(), Code::DataLoss);
  add("c", "", written);
  EXPECT_FALSE(wait("c")) << "it was being written then";
  add("d", "c", disk());
  EXPECT_FALSE(wait("d")) << "sound, but over what is not";
  EXPECT_EQ(opened_, 2);
  EXPECT_THAT(noted_, IsEmpty());
  add("a", "", disk());
  EXPECT_TRUE(wait("a")) << "unpacked again";
  add("b", "a", disk());
  EXPECT_TRUE(wait("b"));
  EXPECT_THAT(noted_, ElementsAre("a", "b"));
}

TEST_F(LayerSyncs, WhatCouldNotBeNotedDoesNotCount) {
  refused_ = "b";
  const auto written = disk();
  add("a", "", written);
  await_sync(1);
  add("b", "a", written);
  add("c", "b", written);
  allow(100);
  EXPECT_FALSE(wait("c"));
  EXPECT_TRUE(wait("a"));
  EXPECT_FALSE(wait("b"));
  EXPECT_THAT(noted_, ElementsAre("a"));
}

TEST_F(LayerSyncs, ACancelEndsTheWait) {
  add("a", "", disk());
  await_sync(1);
  CancelToken cancel;
  auto waiting = std::async(std::launch::async, [&] { return layers_->wait("a", cancel); });
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  cancel.cancel();
  EXPECT_EQ(waiting.get().error().code(), Code::Cancelled);
  EXPECT_TRUE(layers_->is_pending("a"));
  allow(1);
  layers_.reset();
  EXPECT_THAT(noted_, ElementsAre("a")) << "what is left is synced first";
}

}  // namespace
}  // namespace wherry::runtime
