#pragma once
// A CronJob: which of its times have come, and is a Job to be started for one? Pure.

#include <optional>
#include <string>

#include "agent/manifest/controller_spec.h"
#include "agent/store/store.h"

namespace wherry {

struct CronInput {
  const CronRules& rules;
  WallTime wall;      // by a clock that can be relied on
  size_t active = 0;  // Jobs of it that have not finished
};

struct CronDecision {
  CronRecord record;              // to be stored before the Job starts
  std::optional<WallTime> start;  // a Job for this time; never twice for the same
  bool replace = false;           // those that are active go first
  std::optional<WallTime> next;   // when to look again
  std::string reason, message;    // why nothing starts, where that is so
};

// `before`: with an empty schedule where it is new; its times count from now on then.
CronDecision decide_cron(const CronRecord& before, const CronInput& input);

// Of the Job for that time, as Kubernetes names it: <cron job>-<minutes since 1970>.
std::string cron_job_name(const std::string& cron_job, WallTime time);

}  // namespace wherry
