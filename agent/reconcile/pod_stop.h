#pragma once
// Stopping containers in the order that Kubernetes gives them: main and init ones first and all at
// once, then the sidecars, from the last to the first. Pure.

#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"
#include "agent/reconcile/pod_tally.h"

namespace wherry {

// After a preStop hook that took all of the grace period there is so much left to end by SIGTERM.
inline constexpr Duration kAfterHook = std::chrono::seconds(2);

struct Stopping {
  const WorkloadSpec* spec;  // the Pod's; null where it is not known: no hooks, no order
  const runtime::PodStatus& pod;
  const WorkloadMemory& memory;
};

// By its spec, where that is known, or by its label.
Duration grace_of(const WorkloadSpec* workload, const runtime::PodStatus& pod);
// Of the running containers `ids`: those that are to be told to stop now.
std::vector<std::string> next_to_stop(const Stopping& pod, const std::vector<std::string>& ids);
// Puts them into a Terminate, by their hooks or by SIGTERM. Action::grace is set.
void tell(const Stopping& pod, const std::vector<std::string>& ids, Action& action);
// How much longer than the grace period the end waits, because a hook may be about to end.
Duration hook_slack(const Stopping& pod);

// Containers that are to be stopped while their Pod stays.
struct StopOrder {
  std::vector<std::string> ids;
  Duration grace{};
  std::string reason, message;
};
std::vector<StopOrder> stop_orders(const Stopping& pod, const PodTally& sum);
// Those of them whose grace period is over, and when that of another will be.
struct LateStops {
  std::vector<std::string> ids;
  std::optional<MonoTime> wake_at;
};
LateStops late_to_stop(const Stopping& pod, MonoTime now);

// Where hooks and probes of a Pod connect to.
std::string address_of(const runtime::PodSpec& spec, const runtime::PodStatus& pod);

}  // namespace wherry
