#pragma once
// The containers of one Pod counted by what the planner has to do with them. Pure.

#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"

namespace wherry {

struct PodTally {
  size_t running = 0, unknown = 0, succeeded = 0, failed = 0, waiting = 0;
  std::vector<ContainerStart> due;              // to be started now
  bool restarted = false;                       // one of the due ran in this boot already
  std::string trouble_reason, trouble_message;  // of a container that backs off
  std::string failed_reason, failed_message;    // of a container that ended for good
  std::optional<MonoTime> wake_at;

  // Every container runs or has done its work.
  bool ready() const {
    return due.empty() && waiting == 0 && failed == 0 && running + succeeded > 0;
  }
};

// `memory` may be null.
PodTally tally(const WorkloadSpec& spec, const runtime::PodStatus* pod,
               const WorkloadMemory* memory, MonoTime now);

}  // namespace wherry
