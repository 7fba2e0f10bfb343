#pragma once
// Which workloads wait for others before they stop. Pure.

#include <functional>
#include <string>

#include "agent/reconcile/plan.h"

namespace wherry {

// A workload that depends on `name`, stops too and must do so first; "" where there is none. Labels
// of two documents may depend on each other in a circle: then nobody waits.
std::string blocking_dependent(const PlanInput& input, const std::string& name,
                               const std::function<bool(const std::string&)>& goes_down);

// Pods that are replaced take turns, one at once for every two cores: those stopped together would
// all be down until the last of them is up again. One that is slow to stop keeps the others waiting
// for a second.
void take_turns(const PlanInput& input, Plan& plan);

}  // namespace wherry
