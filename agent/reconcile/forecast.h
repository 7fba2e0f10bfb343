#pragma once
// What a document would change, need and cost, without doing it: by the parts that would do it.

#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/admission.h"
#include "agent/reconcile/rehearsal.h"
#include "runtime/estimate.h"

namespace wherry {

enum class Change {
  Create,
  Replace,  // its Pod is stopped and made anew
  Update,   // while it runs on: files of its volumes, its cpu and memory
  Remove,
  Unchanged,
};

struct Cause {
  std::string reason;  // one CamelCase word, or ""
  std::string message;
};

struct WorkloadForecast {
  std::string name, source, owner;
  Change change = Change::Unchanged;
  Cause cause;
  std::vector<std::string> differences;  // fields and objects, never a value
  std::optional<Cause> obstacle;         // what keeps it from being started
};

struct ImageForecast {
  runtime::ImageEstimate estimate;
  std::vector<std::string> workloads;  // that need it
};

struct Downtime {
  std::string name;
  Cause cause;
};

struct Forecast {
  std::string source, digest;
  uint64_t revision = 0;
  std::vector<WorkloadForecast> workloads;  // sorted by name
  std::vector<ImageForecast> images;        // to be pulled
  std::vector<runtime::DiskEstimate> disks;
  Amounts device;        // 0: not known
  Demand before, after;  // of what Pods ask for
  std::vector<Downtime> down;
  std::vector<Finding> warnings;
};

std::string to_json(const Forecast& forecast);

struct ForecastParts {
  runtime::Images& images;
  runtime::Estimates& estimates;
};

// Asks registries about images that are not on the device, for a minute at most. Errors: NotFound
// (a source that this device has not), Unavailable (what runs is not known yet, or the container
// stack is away), Cancelled.
Result<Planned> forecast(const Rehearsal& rehearsal, const PlanRequest& request,
                         const ForecastParts& parts, const CancelToken& cancel);

}  // namespace wherry
