#pragma once
// When images are removed: after something changed, now and then while a pull waits for room, and
// when somebody asks.

#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/mailbox.h"

namespace wherry {

// The event that tells of it; something was removed.
EventRecord images_removed(const runtime::PruneReport& report);

// Used by the reconciler's thread only.
class PruneDesk {
 public:
  void look_soon() { due_ = true; }
  void order(std::vector<PruneAnswer> orders);
  // What to ask for now, if anything; `waiting`: pulls that wait for room. One at a time: after
  // begun() nothing is due until done().
  std::optional<runtime::PruneRequest> next(const std::vector<std::string>& waiting, MonoTime now);
  void begun(MonoTime now);
  // Somebody's order waits or is being seen to.
  bool is_ordered() const { return !orders_.empty() || !under_way_.empty(); }
  void done(const Result<runtime::PruneReport>& report);
  // Nobody's order can be seen to.
  void refuse(const Error& error);
  std::optional<MonoTime> wake_at(bool waiting) const;

 private:
  bool due_ = false;
  bool busy_ = false;
  MonoTime again_at_{};
  std::vector<PruneAnswer> orders_, under_way_;
};

}  // namespace wherry
