#pragma once
// Lanes without threads: jobs wait until their time has come and run on the device's own thread.

#include <functional>
#include <map>
#include <optional>

#include "agent/reconcile/lanes.h"
#include "base/clock.h"

namespace wherry::simulate {

// Not thread-safe. The clock must outlive it.
class DelayedLanes final : public Lanes {
 public:
  using Delay = std::function<Duration(Lane)>;
  DelayedLanes(const Clock& clock, Delay delay) : clock_(clock), delay_(std::move(delay)) {}

  // Never full: what the reconciler hands out at once is bounded by itself.
  bool post(Lane lane, std::function<void()> job) override {
    after(delay_(lane), std::move(job));
    return true;
  }
  void after(Duration wait, std::function<void()> job) {
    waiting_.emplace(clock_.now() + wait, std::move(job));
  }
  // Runs what is due, in the order of its time.
  void run_due() {
    const MonoTime now = clock_.now();
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      const auto next = waiting_.extract(waiting_.begin());
      next.mapped()();
    }
  }
  std::optional<MonoTime> wake_at() const {
    if (waiting_.empty()) return std::nullopt;
    return waiting_.begin()->first;
  }

 private:
  const Clock& clock_;
  const Delay delay_;
  std::multimap<MonoTime, std::function<void()>> waiting_;
};

}  // namespace wherry::simulate
