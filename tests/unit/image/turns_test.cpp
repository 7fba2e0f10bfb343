// What pulls share: the link, the slots, and the leases that keep what has arrived.

#include <future>
#include <latch>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/image/pull_leases.h"
#include "runtime/image/rate_meter.h"
#include "runtime/image/slots.h"
#include "runtime/image/throttle.h"
#include "tests/support/wait.h"
#include "tests/unit/image/fake_backend.h"

namespace wherry::image_test {
namespace {

using runtime::PullLeases;
using runtime::RateMeter;
using runtime::Slots;
using runtime::Throttle;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Throttle, HoldsItsLimitAndNotMore) {
  const SystemClock clock;
  Throttle throttle(1'000'000);
  Throttle::Share share(throttle);
  const MonoTime begin = clock.now();
  for (int i = 0; i < 125; ++i) ASSERT_TRUE(share.pay(4000, {}));
  // Half a second's worth, of which a tenth of a second may have been saved up.
  EXPECT_GE(clock.now() - begin, milliseconds(390));
  throttle.set_limit(0);
  ASSERT_TRUE(share.pay(int64_t{1} << 40, {}));
}

TEST(Throttle, ACancelOrAHigherLimitEndsTheWait) {
  Throttle throttle(1);
  Throttle::Share share(throttle);
  CancelToken cancel;
  auto waiting = std::async(std::launch::async, [&] { return share.pay(1'000'000, cancel); });
  EXPECT_EQ(waiting.wait_for(milliseconds(20)), std::future_status::timeout);
  cancel.cancel();
  EXPECT_EQ(waiting.get().error().code(), Code::Cancelled);
  auto other = std::async(std::launch::async, [&] { return share.pay(1'000'000, {}); });
  EXPECT_EQ(other.wait_for(milliseconds(20)), std::future_status::timeout);
  throttle.set_limit(0);
  EXPECT_TRUE(other.get());
}

TEST(Throttle, APullWithManyLayersGetsNoMoreThanOneWithOne) {
  Throttle throttle(2'000'000);
  Throttle::Share many(throttle), one(throttle);
  std::atomic<int64_t> by_many{0}, by_one{0};
  CancelToken stop;
  std::latch begin(5);
  const auto load = [&](Throttle::Share& share, std::atomic<int64_t>& count) {
    begin.arrive_and_wait();  // who is there first would be ahead by all that comes until the other
                              // is
    while (share.pay(4000, stop)) ++count;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { load(many, by_many); });
  threads.emplace_back([&] { load(one, by_one); });
  EXPECT_TRUE(test::wait_until([&] { return by_many + by_one >= 400; }));
  stop.cancel();
  for (auto& thread : threads) thread.join();
  EXPECT_GE(by_one * 2, by_many) << by_one << " against " << by_many;
  EXPECT_GE(by_many * 2, by_one) << by_one << " against " << by_many;
}

Slots::Owner from_x(const int& pull) { return {&pull, "x"}; }
Slots::Owner from_y(const int& pull) { return {&pull, "y"}; }

TEST(Slots, ThePullThatHoldsFewestIsNextAndOthersYieldAfterTheirSlice) {
  Slots slots(2, Duration::zero());
  const int a = 0, b = 0;
  const CancelToken never;
  auto first = slots.take(from_x(a), never);
  ASSERT_TRUE(first->keep(never));
  {
    const auto second = slots.take(from_x(a), never);
    ASSERT_TRUE(second->keep(never));
    EXPECT_FALSE(first->must_yield()) << "nobody waits";
    auto mine =
        std::async(std::launch::async, [&] { return slots.take(from_x(a), never).has_value(); });
    auto theirs = std::async(std::launch::async, [&] {
      const auto hold = slots.take(from_x(b), never);
      EXPECT_TRUE(hold->keep(never));
      EXPECT_FALSE(hold->must_yield()) << "who waits holds as many already";
      return hold.has_value();
    });
    EXPECT_TRUE(test::wait_until([&] { return first->must_yield(); }));
    { const auto dropped = std::move(first); }
    EXPECT_TRUE(theirs.get());
    EXPECT_TRUE(mine.get());
  }
  EXPECT_TRUE(slots.take(from_x(a), never));
  CancelToken cancelled;
  cancelled.cancel();
  const auto x = slots.take(from_x(a), never), y = slots.take(from_x(a), never);
  ASSERT_TRUE(x->keep(never) && y->keep(never));
  EXPECT_EQ(slots.take(from_x(b), cancelled).error().code(), Code::Cancelled);
  EXPECT_FALSE(x->must_yield()) << "who was cancelled waits no more";
  CancelToken later;
  auto waiting = std::async(std::launch::async, [&] { return slots.take(from_x(b), later); });
  EXPECT_TRUE(test::wait_until([&] { return x->must_yield(); }));
  later.cancel();
  EXPECT_EQ(waiting.get().error().code(), Code::Cancelled);
}

TEST(Slots, NobodyYieldsBeforeTheSliceIsOver) {
  Slots slots(1, hours(1));
  const int a = 0, b = 0;
  auto hold = std::make_optional(slots.take(from_x(a), {}));
  ASSERT_TRUE((*hold)->keep({}));
  CancelToken cancel;
  auto waiting =
      std::async(std::launch::async, [&] { return slots.take(from_x(b), cancel).has_value(); });
  EXPECT_EQ(waiting.wait_for(milliseconds(100)), std::future_status::timeout);
  EXPECT_FALSE((*hold)->must_yield());
  hold.reset();
  EXPECT_TRUE(waiting.get());
}

// However many pulls of one registry wait, one from elsewhere comes next.
TEST(Slots, ARegistryThatHoldsNoneIsNext) {
  Slots slots(3, Duration::zero());
  const int a = 0, b = 0, c = 0, d = 0, other = 0;
  auto first = std::make_optional(slots.take(from_x(a), {}));
  const auto second = slots.take(from_x(b), {}), elsewhere = slots.take({&other, "z"}, {});
  ASSERT_TRUE((*first)->keep({}) && second->keep({}) && elsewhere->keep({}));
  auto same = std::async(std::launch::async, [&] { return slots.take(from_x(c), {}); });
  EXPECT_TRUE(test::wait_until([&] { return (*first)->must_yield(); }));
  EXPECT_FALSE(elsewhere->must_yield()) << "the registry of who waits has more already";
  auto theirs = std::async(std::launch::async, [&] { return slots.take(from_y(d), {}); });
  EXPECT_TRUE(test::wait_until([&] { return elsewhere->must_yield(); }));
  first.reset();
  {
    const auto got = theirs.get();
    ASSERT_TRUE(got && got->keep({}));
    EXPECT_EQ(same.wait_for(milliseconds(20)), std::future_status::timeout);
  }
  EXPECT_TRUE(same.get());
}

TEST(Slots, OfEqualRegistriesTheOneWhoseTurnIsTheLongestAgoIsNext) {
  Slots slots(2, Duration::zero());
  const int a = 0, b = 0, c = 0, other = 0;
  auto first = std::make_optional(slots.take(from_x(a), {}));
  const auto elsewhere = slots.take({&other, "z"}, {});
  ASSERT_TRUE((*first)->keep({}) && elsewhere->keep({}));
  auto same = std::async(std::launch::async, [&] { return slots.take(from_x(b), {}); });
  EXPECT_TRUE(test::wait_until([&] { return (*first)->must_yield(); }));
  auto theirs = std::async(std::launch::async, [&] { return slots.take(from_y(c), {}); });
  EXPECT_TRUE(test::wait_until([&] { return elsewhere->must_yield(); }));
  first.reset();  // now neither holds any
  {
    const auto got = theirs.get();
    ASSERT_TRUE(got && got->keep({}));
    EXPECT_EQ(same.wait_for(milliseconds(20)), std::future_status::timeout);
  }
  EXPECT_TRUE(same.get());
}

// Forty images of a registry that is dead must not keep out the one of another.
TEST(Slots, WhoGetsNothingLendsItsSlotAndWaitsForOneWhenSomethingComes) {
  Slots slots(1, hours(1), milliseconds(20));
  const int dead = 0, good = 0;
  const auto lent = slots.take(from_x(dead), {});
  auto other = std::make_optional(slots.take(from_y(good), {}));
  ASSERT_TRUE(*other);
  ASSERT_TRUE((*other)->keep({}));
  auto back = std::async(std::launch::async, [&] { return lent->keep({}).has_value(); });
  EXPECT_EQ(back.wait_for(milliseconds(100)), std::future_status::timeout)
      << "what sends is never lent";
  other.reset();
  EXPECT_TRUE(back.get());
  CancelToken cancel;
  auto third = std::async(std::launch::async, [&] { return slots.take(from_y(good), cancel); });
  EXPECT_EQ(third.wait_for(milliseconds(100)), std::future_status::timeout);
  cancel.cancel();
  EXPECT_FALSE(third.get());
}

TEST(RateMeter, TellsWhatCameInLately) {
  RateMeter meter;
  MonoTime now{hours(1)};
  EXPECT_EQ(meter.add(now, 0), 0);
  EXPECT_EQ(meter.add(now + milliseconds(100), 900), 0) << "too early to tell";
  EXPECT_EQ(meter.add(now + seconds(1), 1000), 1000);
  for (int i = 2; i <= 10; ++i) {
    const int64_t rate = meter.add(now + seconds(i), 1000 + 5000 * (i - 1));
    if (i >= 6) {
      EXPECT_EQ(rate, 5000) << "what was before is forgotten";
    }
  }
  for (int i = 11; i < 14; ++i) EXPECT_GT(meter.add(now + seconds(i), 46000), 0);
  EXPECT_EQ(meter.add(now + seconds(14), 46000), 0) << "nothing comes any more";
}

class Leases : public ::testing::Test {
 protected:
  static Status broke_off() { return fail(Code::Unavailable, "the link broke"); }
  FakeImageBackend store_;
  FakeClock clock_;
};

TEST_F(Leases, ALongPullMovesOnToAFreshLeaseThatHoldsTheSame) {
  PullLeases leases(store_, clock_);
  const auto first = leases.take("a");
  ASSERT_TRUE(first) << first.error().full();
  store_.leases[*first] = {"sha256:1"};
  clock_.advance(hours(11));
  EXPECT_EQ(leases.current("a"), *first);
  clock_.advance(hours(2));
  const std::string second = leases.current("a");
  EXPECT_NE(second, *first);
  EXPECT_EQ(store_.leases[second], (std::set<std::string>{"sha256:1"}));
  EXPECT_TRUE(store_.leases.contains(*first)) << "for what was begun under it";
  leases.settle("a", {});
  EXPECT_TRUE(store_.leases.empty());
}

TEST_F(Leases, AClockThatIsSetForwardDoesNotLetItExpire) {
  PullLeases leases(store_, clock_);
  const auto first = leases.take("a");
  clock_.set_wall(clock_.wall() + hours(24 * 365));
  EXPECT_NE(leases.current("a"), *first);
  leases.settle("a", {});
}

TEST_F(Leases, ARenewalThatFailsIsTriedAgainLater) {
  PullLeases leases(store_, clock_);
  const auto first = leases.take("a");
  clock_.advance(hours(13));
  store_.fault = [](const std::string&, const std::string&) { return broke_off(); };
  const int before = store_.calls["create_lease"];
  for (int i = 0; i < 5; ++i) EXPECT_EQ(leases.current("a"), *first);
  EXPECT_EQ(store_.calls["create_lease"], before + 1);
  store_.fault = nullptr;
  clock_.advance(seconds(61));
  EXPECT_NE(leases.current("a"), *first);
  leases.settle("a", {});
  EXPECT_TRUE(store_.leases.empty());
}

TEST_F(Leases, TheNextLifeTakesOverWhatADeadOneHeld) {
  {
    PullLeases dead(store_, clock_);
    store_.leases[*dead.take("a")] = {"sha256:1"};
    store_.leases[*dead.take("b")] = {"sha256:2"};
    store_.leases[*dead.take("import x")] = {"sha256:3"};
  }
  PullLeases leases(store_, clock_);
  const std::string mine = *leases.take("import y");
  store_.leases["another program's"] = {};
  const auto taken = leases.take("a");
  ASSERT_TRUE(taken);
  EXPECT_EQ(store_.leases[*taken], (std::set<std::string>{"sha256:1"}));
  EXPECT_EQ(store_.leases.size(), 5u) << "that of the dead life is gone";
  ASSERT_TRUE(leases.drop_abandoned({"b"}));
  EXPECT_EQ(store_.leases.size(), 4u) << "the import has nobody to continue it";
  ASSERT_TRUE(leases.drop_abandoned({}));
  EXPECT_EQ(store_.leases.size(), 3u);
  EXPECT_TRUE(store_.leases.contains(*taken)) << "it is being pulled";
  EXPECT_TRUE(store_.leases.contains(mine));
  leases.settle("a", {});
  leases.end("import y", broke_off());
  EXPECT_EQ(store_.leases.size(), 1u) << "nobody continues an import";
  const int calls = store_.calls["list_leases"];
  ASSERT_TRUE(leases.drop_abandoned({}));
  EXPECT_EQ(store_.calls["list_leases"], calls) << "nobody else makes any";
}

TEST_F(Leases, ARenewalThatWasNeverFinishedIsDroppedWithTheRest) {
  PullLeases leases(store_, clock_);
  ASSERT_TRUE(leases.take("a"));
  clock_.advance(hours(13));
  store_.fault = [](const std::string& method, const std::string&) -> Status {
    return method == "share_lease" ? broke_off() : Status();
  };
  leases.current("a");
  store_.fault = nullptr;
  EXPECT_EQ(store_.leases.size(), 2u);
  leases.settle("a", broke_off());
  ASSERT_TRUE(leases.drop_abandoned({}));
  EXPECT_TRUE(store_.leases.empty());
}

TEST_F(Leases, AFailureKeepsItUntilNobodyWantsTheImage) {
  PullLeases leases(store_, clock_);
  ASSERT_TRUE(leases.take("a"));
  leases.settle("a", broke_off());
  ASSERT_TRUE(leases.drop_abandoned({"a"}));
  EXPECT_EQ(store_.leases.size(), 1u);
  store_.fault = [](const std::string&, const std::string&) { return broke_off(); };
  EXPECT_FALSE(leases.drop_abandoned({}));
  store_.fault = nullptr;
  ASSERT_TRUE(leases.drop_abandoned({}));
  EXPECT_TRUE(store_.leases.empty());
  ASSERT_TRUE(leases.take("a"));
  leases.settle("a", fail(Code::InvalidArgument, "not an image"));
  EXPECT_TRUE(store_.leases.empty());
}

}  // namespace
}  // namespace wherry::image_test
