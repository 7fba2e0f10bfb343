#pragma once
// Carries out what the planner decided. Runs on a worker, touches nothing of the reconciler's.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"
#include "base/cancel.h"
#include "base/result.h"
#include "runtime/runtime.h"

namespace wherry {

struct ActionResult {
  Action action;
  Status status;                                  // of the Pod as a whole
  std::string ip;                                 // Start
  std::vector<runtime::ContainerStatus> started;  // Start
  std::map<std::string, Error> not_started;       // Start, by container
  std::set<std::string> missing;                  // CheckImages: references
  std::map<std::string, std::string> digests{};   // CheckImages: of the others, by their names
  std::vector<std::string> resized{};             // Resize: containers
};

// Every step can be repeated after a crash at any point. Returns soon after `cancel` fires, with
// what was done until then. `resizer` may be null: then nothing is resized.
ActionResult carry_out(const Action& action, runtime::Runtime& runtime, runtime::Images& images,
                       const CancelToken& cancel, runtime::Resizer* resizer = nullptr);

}  // namespace wherry
