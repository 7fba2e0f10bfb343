#pragma once
// When the fleet hears how far pulls have got: seldom, since a device may pay for every byte.

#include <map>
#include <optional>
#include <string>

#include "agent/reconcile/state_view.h"
#include "base/clock.h"

namespace wherry {

// Remembers what was told. Progress alone is worth a report where, for some image,
// - its size has become known, or it has passed the next 10 %, and 10 s have gone by, or
// - it is a percent or more further, or came to a halt, and 5 min have gone by
// since numbers were last told: at most some two hundred reports a pull, however long it takes.
class PullTeller {
 public:
  bool due(const StateView& view, MonoTime now) const;
  // Puts in the numbers that were told last, for those pulls that had any.
  void hold_back(StateView& view) const;
  // `view` goes up as it is.
  void told(const StateView& view, MonoTime now);

 private:
  bool due(const PullView& pull, Duration since) const;

  std::map<std::string, PullView> told_;  // by image
  std::optional<MonoTime> told_at_;
};

}  // namespace wherry
