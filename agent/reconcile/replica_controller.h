#pragma once
// The Pods of a Deployment, DaemonSet or StatefulSet: which of them are replaced now, and which
// wait. Pure.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/controller_facts.h"

namespace wherry {

struct ReplicaPlan {
  std::vector<PodChoice> pods;  // in the order of their numbers
  size_t updated = 0;           // made as wanted now
  size_t available = 0;         // of which: ready for long enough
  size_t old = 0;               // of an earlier version
  size_t old_ready = 0;         // of which: ready
  size_t stopped = 0;           // by a person; none of the above
  std::optional<MonoTime> wake_at;
};

// `specs`: the Pods as they are wanted. One that is missing had an error, and is left out.
ReplicaPlan plan_replicas(const ControllerSpec& controller,
                          const std::map<std::string, const WorkloadSpec*>& specs,
                          const ControllerFacts& facts);

}  // namespace wherry
