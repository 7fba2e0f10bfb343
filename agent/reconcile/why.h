#pragma once
// Why a workload is as it is: everything on this device that has a part in it, nearest first.

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "agent/reconcile/state_view.h"

namespace wherry {

// One link of the chain.
struct Because {
  // "container app", "image web:1", "Deployment/web", "device: not ContainerdReady", …
  std::string about;
  std::string reason, message;
  WallTime since{};  // zero: not known
};

// The workload itself is not among them. Of what is as it should be nothing is said: empty where
// nothing stands in its way.
std::vector<Because> why(const StateView& view, const WorkloadView& workload);
// For a name that no workload has: which document that may have had it was refused, or left it out.
std::vector<Because> why_absent(const StateView& view, const std::string& name);

// docs/rest.md: without "events".
nlohmann::ordered_json why_json(const StateView& view, const WorkloadView& workload);

}  // namespace wherry
