#include "base/cancel.h"

#include <atomic>
#include <future>
#include <thread>

#include <gtest/gtest.h>

namespace wherry {
namespace {

using namespace std::chrono_literals;

TEST(CancelToken, CopiesShareOneState) {
  const CancelToken token;
  CancelToken copy = token;
  EXPECT_FALSE(token.cancelled());
  copy.cancel();
  EXPECT_TRUE(token.cancelled());
  EXPECT_FALSE(CancelToken().cancelled());
}

TEST(CancelToken, WaitEndsWithCancelOrTimeout) {
  CancelToken token;
  EXPECT_FALSE(token.wait_for(1ms));
  EXPECT_FALSE(token.wait_for(-1s));
  std::thread canceller([&] { token.cancel(); });
  EXPECT_TRUE(token.wait_for(Duration::max())) << "the longest wait does not overflow into none";
  canceller.join();
  EXPECT_TRUE(token.wait_for(0s));
}

TEST(CancelToken, CallbacksRunOnceInOrder) {
  CancelToken token;
  std::string calls;
  const auto first = token.on_cancel([&] { calls += "a"; });
  const auto second = token.on_cancel([&] { calls += "b"; });
  token.cancel();
  token.cancel();
  EXPECT_EQ(calls, "ab");
}

TEST(CancelToken, CallbackRunsAtOnceWhenCancelledAlready) {
  CancelToken token;
  token.cancel();
  bool called = false;
  const auto handle = token.on_cancel([&] { called = true; });
  EXPECT_TRUE(called);
}

TEST(CancelToken, DroppedHandleIsNotCalled) {
  CancelToken token;
  bool called = false;
  auto handle = token.on_cancel([&] { called = true; });
  handle.reset();
  token.cancel();
  EXPECT_FALSE(called);
}

TEST(CancelToken, HandleMayOutliveTheToken) {
  std::shared_ptr<void> handle;
  {
    const CancelToken token;
    handle = token.on_cancel([] {});
  }
  handle.reset();
}

TEST(CancelToken, ACallbackMayUseTheTokenAndDropHandles) {
  CancelToken token;
  bool other_called = false;
  std::shared_ptr<void> own;
  std::shared_ptr<void> other;
  own = token.on_cancel([&] {
    EXPECT_TRUE(token.cancelled());
    token.cancel();
    own.reset();
    other.reset();
    const auto late = token.on_cancel([] {});
  });
  other = token.on_cancel([&] { other_called = true; });
  token.cancel();
  EXPECT_FALSE(other_called);
}

TEST(CancelToken, DroppingAHandleWaitsForItsRunningCallback) {
  CancelToken token;
  std::promise<void> entered;
  std::promise<void> release;
  std::atomic<bool> finished{false};
  auto handle = token.on_cancel([&] {
    entered.set_value();
    release.get_future().wait();
    finished = true;
  });
  std::thread canceller([&] { token.cancel(); });
  entered.get_future().wait();
  std::atomic<bool> finished_before_reset_returned{false};
  std::thread dropper([&] {
    handle.reset();
    finished_before_reset_returned = finished.load();
  });
  release.set_value();
  dropper.join();
  canceller.join();
  EXPECT_TRUE(finished_before_reset_returned);
}

TEST(CancelToken, DroppingAnotherHandleDoesNotWait) {
  CancelToken token;
  std::promise<void> entered;
  std::promise<void> release;
  const auto blocked = token.on_cancel([&] {
    entered.set_value();
    release.get_future().wait();
  });
  auto other = token.on_cancel([] { ADD_FAILURE() << "was dropped before its turn"; });
  std::thread canceller([&] { token.cancel(); });
  entered.get_future().wait();
  other.reset();
  release.set_value();
  canceller.join();
}

TEST(CancelToken, RegisteringRacesWithCancelling) {
  for (int round = 0; round < 200; ++round) {
    CancelToken token;
    std::atomic<int> calls{0};
    std::thread canceller([&] { token.cancel(); });
    {
      const auto first = token.on_cancel([&] { ++calls; });
      const auto second = token.on_cancel([&] { ++calls; });
      EXPECT_TRUE(token.wait_for(10s));
    }
    // Both ran, or were dropped before their turn: never later than here.
    const int seen = calls.load();
    canceller.join();
    EXPECT_EQ(calls.load(), seen);
  }
}

}  // namespace
}  // namespace wherry
