#pragma once
// Shows the state: to this machine at once, to the fleet at most once a second, and of pulls under
// way what PullTeller lets pass.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/fleet/fleet_link.h"
#include "agent/reconcile/pull_teller.h"
#include "agent/reconcile/state_view.h"
#include "base/clock.h"

namespace wherry {

// A condition and since when it is as it is.
class Condition {
 public:
  explicit Condition(std::string type, std::string reason, std::string message);
  // True when it was not so before.
  bool set(bool status, std::string reason, std::string message, WallTime now);
  bool status() const { return view_.status; }
  const ConditionView& view() const { return view_; }

 private:
  ConditionView view_;
};

class Reporter {
 public:
  using Publish = std::function<void(std::string json)>;
  Reporter(StateBoard& board, Publish publish, const Clock& clock)
      : board_(board), publish_(std::move(publish)), clock_(clock) {}

  // The first change after a quiet second goes up at once; what follows is gathered for a second.
  // `publish`: false keeps it on this machine.
  void show(StateView view, bool publish);
  // Publishes what was gathered, when it is time.
  void tick();
  std::optional<MonoTime> wake_at() const { return wake_at_; }
  std::shared_ptr<const StateView> shown() const { return board_.get(); }

 private:
  StateBoard& board_;
  Publish publish_;
  const Clock& clock_;
  PullTeller pulls_;
  std::string published_;  // digest of what went up last, without its time
  MonoTime not_before_{};
  std::optional<MonoTime> wake_at_;
};

}  // namespace wherry
