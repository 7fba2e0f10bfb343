#pragma once
// When the device and its Pods are measured, and who has to go where it runs short.

#include <optional>

#include "agent/reconcile/dispatcher.h"
#include "agent/reconcile/ledger.h"
#include "agent/reconcile/prune_desk.h"

namespace wherry {

// Used by the reconciler's thread only.
class GaugeDesk {
 public:
  // `gauges` may be null: nobody is stopped then. `disk_reserve` in bytes.
  GaugeDesk(runtime::Gauges* gauges, int64_t disk_reserve)
      : gauges_(gauges), disk_reserve_(disk_reserve) {}
  // Measures when it is time; not at all while Pods cannot be stopped.
  void look(bool may_act, Dispatcher& dispatcher, const Ledger& ledger, MonoTime now);
  // Images that nobody needs go before a Pod has to.
  void gauged(const GaugeResult& result, Ledger& ledger, PruneDesk& pruning, MonoTime now);
  std::optional<MonoTime> wake_at() const;

 private:
  runtime::Gauges* gauges_;
  const int64_t disk_reserve_;
  bool busy_ = false;
  MonoTime look_at_{}, limits_at_{};
  Shortage short_of_ = Shortage::None;  // when last looked at
};

}  // namespace wherry
