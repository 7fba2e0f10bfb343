#include "base/executor.h"

#include <atomic>
#include <barrier>
#include <future>
#include <memory>
#include <pthread.h>

#include <gtest/gtest.h>

namespace wherry {
namespace {

TEST(Executor, RunsJobsInOrderOnOneThread) {
  Executor pool("order", 1, 100);
  std::string seen;
  std::promise<void> done;
  for (char c = 'a'; c <= 'e'; ++c) ASSERT_TRUE(pool.post([&, c] { seen += c; }));
  ASSERT_TRUE(pool.post([&] { done.set_value(); }));
  done.get_future().wait();
  EXPECT_EQ(seen, "abcde");
}

TEST(Executor, RunsSeveralAtOnce) {
  std::barrier meet(3);  // passes only when two jobs and this thread stand at it together
  Executor pool("both", 2, 10);
  ASSERT_TRUE(pool.post([&] { meet.arrive_and_wait(); }));
  ASSERT_TRUE(pool.post([&] { meet.arrive_and_wait(); }));
  meet.arrive_and_wait();
}

TEST(Executor, RefusesBeyondItsBound) {
  std::promise<void> started;
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<int> ran{0};
  std::promise<void> last;
  {
    Executor pool("bound", 1, 2);
    ASSERT_TRUE(pool.post([&] {
      started.set_value();
      released.wait();
    }));
    started.get_future().wait();
    EXPECT_TRUE(pool.post([&] { ++ran; }));
    EXPECT_TRUE(pool.post([&] {
      ++ran;
      last.set_value();
    }));
    EXPECT_FALSE(pool.post([&] { ran += 100; }));
    release.set_value();
    last.get_future().wait();
  }
  EXPECT_EQ(ran, 2);
}

TEST(Executor, DestructorDropsWhatHasNotBegunAndWaitsForTheRest) {
  std::promise<void> started;
  std::promise<void> release;
  std::atomic<bool> finished{false};
  std::atomic<bool> dropped_job_ran{false};
  auto captured = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = captured;
  auto pool = std::make_unique<Executor>("drop", 1, 10);
  ASSERT_TRUE(pool->post([&] {
    started.set_value();
    release.get_future().wait();
    finished = true;
  }));
  started.get_future().wait();
  ASSERT_TRUE(pool->post([&, held = std::move(captured)] { dropped_job_ran = true; }));
  std::thread releaser([&] {
    while (!watch.expired()) std::this_thread::yield();  // the queue has been dropped
    release.set_value();
  });
  pool.reset();
  releaser.join();
  EXPECT_TRUE(finished);
  EXPECT_FALSE(dropped_job_ran);
}

struct PostsWhenDestroyed {
  PostsWhenDestroyed(Executor* a_pool, std::atomic<int>* counter)
      : pool(a_pool), refused(counter) {}
  ~PostsWhenDestroyed() {
    if (!pool->post([] {})) ++*refused;
  }
  Executor* pool;
  std::atomic<int>* refused;
};

TEST(Executor, ADroppedJobMayCallBackIntoThePool) {
  std::promise<void> started;
  std::promise<void> release;
  std::atomic<int> refused{0};
  std::thread releaser;
  {
    Executor pool("back", 1, 10);
    ASSERT_TRUE(pool.post([&] {
      started.set_value();
      release.get_future().wait();
    }));
    started.get_future().wait();
    auto held = std::make_shared<PostsWhenDestroyed>(&pool, &refused);
    ASSERT_TRUE(pool.post([held] {}));
    held.reset();
    releaser = std::thread([&] {
      while (refused == 0) std::this_thread::yield();
      release.set_value();
    });
  }
  releaser.join();
  EXPECT_EQ(refused, 1);
}

TEST(Executor, ReusesAnIdleThread) {
  Executor pool("idle", 4, 10);
  std::promise<std::thread::id> first;
  ASSERT_TRUE(pool.post([&] { first.set_value(std::this_thread::get_id()); }));
  first.get_future().wait();
  std::promise<std::string> name;
  ASSERT_TRUE(pool.post([&] {
    char text[16] = {};
    pthread_getname_np(pthread_self(), text, sizeof text);
    name.set_value(text);
  }));
  EXPECT_EQ(name.get_future().get().substr(0, 5), "idle-");
}

TEST(NameThisThread, CutsLongNames) {
  std::thread([] {
    name_this_thread("a-name-that-is-far-too-long");
    char text[16] = {};
    pthread_getname_np(pthread_self(), text, sizeof text);
    EXPECT_STREQ(text, "a-name-that-is-");
  }).join();
}

}  // namespace
}  // namespace wherry
