#include "agent/reconcile/gauge_desk.h"

#include <utility>

namespace wherry {

void GaugeDesk::look(bool may_act, Dispatcher& dispatcher, const Ledger& ledger, MonoTime now) {
  if (gauges_ == nullptr || busy_ || now < look_at_) return;
  look_at_ = now + kGaugeInterval;
  if (!may_act) return;
  const bool limits = now >= limits_at_ && has_disk_limits(ledger.desired());
  busy_ = dispatcher.gauge(*gauges_, disk_reserve_, limits);
  if (limits && busy_) limits_at_ = now + kLimitInterval;
}

void GaugeDesk::gauged(const GaugeResult& result, Ledger& ledger, PruneDesk& pruning,
                       MonoTime now) {
  busy_ = false;
  const std::set<std::string> held;
  const PlanInput input = ledger.input(held, now);
  if (result.limits) {
    for (const Eviction& each : over_disk_limits(input, result.usage)) ledger.evict(each);
  }
  const Shortage before = std::exchange(short_of_, result.pressure.of);
  if (short_of_ == Shortage::None) return;
  if (short_of_ == Shortage::Disk && before != Shortage::Disk) {
    pruning.look_soon();
  } else if (const auto victim = choose_evicted(input, result.pressure, result.usage)) {
    ledger.evict(*victim);
  }
  // Nobody comes back before it was found to be over.
  ledger.keep_evicted(now + 2 * kGaugeInterval);
}

std::optional<MonoTime> GaugeDesk::wake_at() const {
  if (gauges_ == nullptr || busy_) return {};
  return look_at_;
}

}  // namespace wherry
