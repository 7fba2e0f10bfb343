#pragma once
// What is brought up to date while a Pod runs: its cpu and memory, and the files of its volumes.
// Pure.

#include "agent/reconcile/admission.h"

namespace wherry {

struct RunningPod {
  const PlanInput& input;
  const SpecPtr& spec;  // of what runs
  const runtime::PodStatus& pod;
  const WorkloadMemory& memory;
  const Room* room;  // null: there is room
};

// Each adds the action to `verdict`, or what it waits for; nothing where there is an action
// already.
void plan_resize(const RunningPod& about, Verdict& verdict);
// The content of ConfigMaps and Secrets changed, or another life of the agent was the last to see
// to it. A start does this by itself.
void plan_file_update(const RunningPod& about, Verdict& verdict);

}  // namespace wherry
