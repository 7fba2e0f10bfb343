#pragma once
// Makes the picture that others see. Pure.

#include "agent/reconcile/plan.h"
#include "agent/reconcile/state_view.h"

namespace wherry {

// The workloads' part of the picture. `before` gives the time since when a workload is as it is.
std::vector<WorkloadView> view_workloads(const PlanInput& input, const Plan& plan,
                                         const StateView& before, WallTime now);

// How far a document has got: Applying, Applied or Failed. `readable`: false where the stored
// document of the source cannot be used.
std::string desired_state(const std::string& source, bool readable, const StateView& view);

}  // namespace wherry
