#pragma once
// Cpu and memory of what runs, where they are not what the spec says any more. Pure.

#include "agent/reconcile/admission.h"

namespace wherry {

struct ResizeInput {
  const PlanInput& input;
  const SpecPtr& spec;  // of what runs
  const runtime::PodStatus& pod;
  const WorkloadMemory& memory;
  const Room* room;  // null: there is room
};

// Adds the action to `verdict`, or what it waits for; nothing where there is an action already.
void plan_resize(const ResizeInput& about, Verdict& verdict);

}  // namespace wherry
