// When a probe is due, and what its results together mean.

#include <gtest/gtest.h>

#include "runtime/probe/probe_state.h"

namespace wherry::runtime {
namespace {

using Change = ProbeState::Change;
using std::chrono::seconds;

class State : public testing::Test {
 protected:
  State() {
    probe_.initial_delay = seconds(5);
    probe_.failure_threshold = 3;
  }
  // A check of every period, one after another.
  std::vector<Change> results(ProbeState& state, std::initializer_list<bool> good) {
    std::vector<Change> changes;
    for (const bool each : good) {
      const MonoTime began = state.due();
      changes.push_back(state.finish(each, began, began + seconds(1)));
    }
    return changes;
  }

  Probe probe_;
  const MonoTime start_{std::chrono::hours(1)};
};

TEST_F(State, BeginsAfterItsDelayAndComesEveryPeriod) {
  ProbeState state(probe_, ProbeKind::Liveness, start_, false);
  EXPECT_EQ(state.due(), start_ + seconds(5));
  state.finish(true, start_ + seconds(5), start_ + seconds(6));
  EXPECT_EQ(state.due(), start_ + seconds(15));
  state.finish(true, start_ + seconds(15), start_ + seconds(40));
  EXPECT_EQ(state.due(), start_ + seconds(40)) << "a slow one is not made up for";
  state.skip(start_ + seconds(50));
  EXPECT_EQ(state.due(), start_ + seconds(60));
}

TEST_F(State, LivenessFailsOnlyAfterFailuresInARow) {
  ProbeState state(probe_, ProbeKind::Liveness, start_, false);
  EXPECT_EQ(results(state, {false, false, true, false, false}), std::vector<Change>(5));
  EXPECT_EQ(results(state, {false}), std::vector<Change>{Change::Bad});
}

TEST_F(State, StartupPassesOnceOrFails) {
  ProbeState passes(probe_, ProbeKind::Startup, start_, false);
  EXPECT_EQ(results(passes, {false, false, true}),
            (std::vector<Change>{Change::None, Change::None, Change::Good}));
  ProbeState fails(probe_, ProbeKind::Startup, start_, false);
  EXPECT_EQ(results(fails, {false, false, false}),
            (std::vector<Change>{Change::None, Change::None, Change::Bad}));
}

TEST_F(State, ReadinessTellsEachChange) {
  probe_.success_threshold = 2;
  ProbeState state(probe_, ProbeKind::Readiness, start_, false);
  EXPECT_EQ(results(state, {false}), std::vector<Change>{Change::Bad}) << "why it is not ready yet";
  EXPECT_EQ(results(state, {true, true, true}),
            (std::vector<Change>{Change::None, Change::Good, Change::None}));
  EXPECT_EQ(results(state, {false, false, true, false, false, false}),
            (std::vector<Change>{Change::None, Change::None, Change::None, Change::None,
                                 Change::None, Change::Bad}));
}

TEST_F(State, AnAdoptedContainerIsAskedAtOnceAndForgivenDuringItsDelay) {
  ProbeState state(probe_, ProbeKind::Liveness, start_, true);
  EXPECT_EQ(state.due(), start_);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(state.finish(false, start_ + seconds(i), start_ + seconds(i)), Change::None);
  }
  EXPECT_EQ(state.finish(false, start_ + seconds(5), start_ + seconds(5)), Change::None);
  EXPECT_EQ(state.finish(false, start_ + seconds(6), start_ + seconds(6)), Change::None);
  EXPECT_EQ(state.finish(false, start_ + seconds(7), start_ + seconds(7)), Change::Bad);
  ProbeState readiness(probe_, ProbeKind::Readiness, start_, true);
  EXPECT_EQ(readiness.finish(true, start_, start_), Change::Good);
}

}  // namespace
}  // namespace wherry::runtime
