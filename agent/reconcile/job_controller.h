#pragma once
// A Job: counts what its Pods came to, and says which Pods are wanted. Pure.

#include <map>
#include <optional>
#include <vector>

#include "agent/reconcile/controller_facts.h"
#include "agent/reconcile/job_run.h"

namespace wherry {

// When a failed index may be tried again; not stored: after a restart it is tried at once.
using JobPauses = std::map<int, MonoTime>;

struct JobInput {
  const ControllerSpec& controller;  // rules and template
  const ControllerFacts& facts;
  double random = 0;  // in [0, 1), for the jitter
};

// `run` with all that has become known counted. To be stored before anything is done about it:
// what is counted here is never looked at again.
JobRun count_job(const JobRun& run, const JobInput& input, JobPauses& pauses);

struct JobPlan {
  std::vector<PodChoice> pods;
  size_t active = 0;
  std::optional<MonoTime> wake_at;  // a pause, the deadline or the time to live ends
};
JobPlan plan_job(const JobRun& run, const JobInput& input, const JobPauses& pauses);

// How many Pods have to succeed, for people; nothing where one is enough.
std::string pod_name(const JobRun& run, const JobRules& rules, int index);

}  // namespace wherry
