#pragma once
// Objects that own Pods: what they ask for, once everything they refer to is resolved. Which Pods
// that comes to at a given moment is decided by agent/reconcile
// (docs/decisions/0013-controllers.md).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/manifest/workload_spec.h"

namespace wherry {

// Of a Deployment, DaemonSet or StatefulSet.
struct RolloutRules {
  bool recreate = false;    // all Pods of the old version stop before one of the new one starts
  int max_unavailable = 1;  // at least 1: Pods are replaced in place
  Duration min_ready{};     // a Pod counts only once it has been ready for so long
  bool ordered = false;     // Pod n+1 starts once Pod n is ready (StatefulSet)
  bool last_first = false;  // updated from the highest number down (StatefulSet)
};

// Of a Job, and of the Jobs of a CronJob.
struct JobRules {
  std::optional<int> completions =
      1;  // none: done when one Pod succeeded and the others have ended
  int parallelism = 1;
  int backoff_limit = 6;
  std::optional<Duration> active_deadline;
  std::optional<Duration> ttl;  // after the end
  bool suspend = false;
};

struct CronRules {
  enum class Concurrency { Allow, Forbid, Replace };
  std::string schedule;   // valid, see cron.h
  std::string time_zone;  // empty: UTC
  Concurrency concurrency = Concurrency::Allow;
  std::optional<Duration> starting_deadline;
  bool suspend = false;
  int successful_limit = 3;
  int failed_limit = 1;
};

struct ControllerSpec {
  Owner owner;
  std::string source;
  uint64_t revision = 0;
  RolloutRules rollout;
  std::vector<std::string> pods;    // replicas in order; they are among Merged::workloads
  std::vector<std::string> images;  // references in its template, also while it wants no Pod
  JobRules job;
  CronRules cron;
  // Job, CronJob: for instantiate(); its hash is that of the template as a whole.
  WorkloadSpec pod_template;
};

struct PodPlace {
  std::string pod;  // its name
  std::string job;  // of the Job it belongs to
  int index = 0;    // which completion it is for
};
// A Pod of a Job, made from the template: names and index are filled in wherever it asks for them.
// `hash` decides whether it is the same Pod.
WorkloadSpec instantiate(const WorkloadSpec& pod_template, const PodPlace& place, std::string hash);

namespace manifest {
// What stands for them in a template. No text that a person writes has such a control character.
inline constexpr std::string_view kPodNameMark = "\x01pod-name\x01";
inline constexpr std::string_view kJobNameMark = "\x01job-name\x01";
inline constexpr std::string_view kIndexMark = "\x01completion-index\x01";
}  // namespace manifest

}  // namespace wherry
