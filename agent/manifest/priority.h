#pragma once
// Who gets room first: a Pod's own fields over the PriorityClasses of all documents. Private to
// this room.

#include "agent/manifest/environment.h"

namespace wherry::manifest {

// False when it complained.
bool resolve_priority(const PodItem& pod, const ConfigObjects& objects, const Complain& complain,
                      const Complain& warn, WorkloadSpec& workload);

}  // namespace wherry::manifest
