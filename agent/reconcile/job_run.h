#pragma once
// One run of a Job, as far as it has been counted: what is stored, in the form the controller
// works with.

#include <map>
#include <set>
#include <string>

#include "agent/store/store.h"
#include "base/clock.h"

namespace wherry {

// Monotonic time that goes on through restarts of the agent, and stands still while the machine is
// off: what a boot's clock says means something to that boot only.
struct BootClock {
  std::string boot;
  MonoTime now{};
};

struct JobRun {
  enum class Phase { Active, Complete, Failed };

  std::string name, cron_job, source, run, template_hash;
  WallTime scheduled_at{}, started_at{}, finished_at{};
  Phase phase = Phase::Active;
  std::string reason, message;
  std::set<int> succeeded;           // completion indexes
  std::map<int, uint32_t> attempts;  // failed attempts of each index that has some
  uint32_t failed = 0;               // of all
  bool suspended = false;
  MonoTime since{};  // active, or finished, for as long as has passed since

  bool finished() const { return phase != Phase::Active; }
  uint32_t attempt(int index) const {
    const auto found = attempts.find(index);
    return found == attempts.end() ? 0 : found->second;
  }
  // Identity of a Pod: of this run, this index and this attempt.
  std::string pod_hash(int index, uint32_t attempt) const;
  bool operator==(const JobRun&) const = default;
};

JobRecord to_record(const JobRun& run, const BootClock& clock);
JobRun from_record(const JobRecord& record, const BootClock& clock);

}  // namespace wherry
