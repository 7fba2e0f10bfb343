#pragma once
// The containers of one Pod counted by what the planner has to do with them. Pure.

#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"

namespace wherry {

struct PodTally {
  // Those that count for what becomes of the Pod: sidecars do only while they run or wait.
  size_t running = 0, unknown = 0, succeeded = 0, failed = 0, waiting = 0;
  size_t not_ready = 0;               // of the running ones
  std::vector<ContainerStart> due;    // to be started now
  bool begun = false;                 // something of it ran in this boot already
  bool expired = false;               // past activeDeadlineSeconds with work left
  std::vector<std::string> leftover;  // ids of sidecars that run though all else is over
  std::string init_message;           // what the init containers are about, until they are done
  std::string trouble_reason, trouble_message;  // of a container that backs off
  std::string failed_reason, failed_message;    // of a container that ended for good
  std::string not_ready_reason, not_ready_message;
  std::optional<MonoTime> wake_at;

  // Every container runs and is ready, or has done its work.
  bool ready() const {
    return due.empty() && waiting == 0 && failed == 0 && not_ready == 0 && init_message.empty() &&
           running + succeeded > 0;
  }
};

// `memory` may be null.
PodTally tally(const WorkloadSpec& spec, const runtime::PodStatus* pod,
               const WorkloadMemory* memory, MonoTime now);

// What there is to say of the Pod as a whole.
struct Description {
  Phase phase{};
  std::string reason, message;
};
Description describe(const PodTally& sum);

// Without knowing its spec: every container of it runs, or was an init container that succeeded.
bool looks_healthy(const runtime::PodStatus& pod);

}  // namespace wherry
