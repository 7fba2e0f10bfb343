#pragma once
// What the reconciler remembers of each workload between two plans. Everything here can be lost:
// what must survive the agent is in the store or in the labels of the containers.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/manifest/workload_spec.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "runtime/types.h"

namespace wherry {

using SpecPtr = std::shared_ptr<const WorkloadSpec>;

// Kubernetes' numbers: 10 s, doubling, at most 5 min.
inline constexpr Backoff kCrashBackoff{std::chrono::seconds(10), std::chrono::minutes(5)};
// Of a registry that asks to be left alone: no longer than this, whatever it says.
inline constexpr Duration kLongestPatience = std::chrono::hours(1);
// A container that ran this long has recovered: its next end is a first one.
inline constexpr Duration kRecovered = std::chrono::minutes(10);

// Something that failed and is tried again.
struct Trouble {
  uint32_t failures = 0;  // in a row
  MonoTime not_before{};
  std::string reason;   // one CamelCase word
  std::string message;  // a sentence

  explicit operator bool() const { return failures > 0; }
  bool waits(MonoTime now) const { return failures > 0 && not_before > now; }
  void failed(const Error& error, std::string_view fallback_reason, MonoTime now);
  void clear() { *this = {}; }
};

// How the attempt that runs is doing, as its probes and hooks say.
struct Vitals {
  // Why it is to be ended, and within what time.
  struct Unhealthy {
    std::string reason, message;
    std::optional<Duration> grace;  // none: the Pod's
  };
  bool adopted = false;  // another life of the agent started it
  bool post_start_done = false;
  bool startup_passed = false;
  bool ready = false;         // by its readiness probe
  std::string probe_message;  // of the probe that failed last
  std::optional<Unhealthy> unhealthy;
};

// The life of one container of one spec, across its attempts.
struct ContainerMemory {
  std::string hash;      // the spec it is about; void for another one
  uint32_t attempt = 0;  // of the latest start (what people see as restarts)
  bool ended = false;    // that attempt ended, and its backoff was decided
  int32_t exit_code = 0;
  std::string reason;   // why it ended: Completed, Error, OOMKilled, ContainerStatusUnknown …
  std::string message;  // its last words
  WallTime started_at{}, finished_at{};
  uint32_t failures = 0;  // ends in a row
  MonoTime not_before{};  // no start earlier
  std::optional<MonoTime> running_since;
  Vitals vitals;  // while it runs
  Trouble start;  // of starting it

  // ": <its last words>" for the end of a sentence, in one line and not too long; "" without any.
  std::string said() const;
  uint32_t next_attempt() const { return ended ? attempt + 1 : attempt; }
};

// A container that is being stopped: its preStop hook, SIGTERM, the grace period, SIGKILL.
struct ContainerStop {
  enum class Stage { Hook, HookDone, Told };
  Stage stage = Stage::Told;
  // Where it is stopped alone: the end of its grace period, and what its end is reported with.
  std::optional<MonoTime> kill_at{};
  std::string reason{}, message{};
};

enum class ImagesState { Unknown, Present, Missing };

struct WorkloadMemory {
  std::string wanted_hash;  // the desired spec that the image fields are about
  ImagesState images = ImagesState::Unknown;
  std::set<std::string> missing;  // references, where Missing; where Unknown: those of before
  std::set<std::string> pulled;   // references with PullPolicy::Always that were seen to
  SpecPtr previous;  // the spec of the Pod that still runs, while another or none is wanted
  // Not empty: the Pod bears the second hash and is known by the first. That version wants the very
  // images that it runs, under other references.
  std::string written_hash, run_hash;

  std::map<std::string, ContainerMemory> containers;
  std::optional<MonoTime> kill_at;  // the Pod is being stopped: the end of the grace period
  std::map<std::string, ContainerStop> stops;  // by container id
  std::optional<MonoTime> stopped_from;        // when the Pod was last begun to be stopped
  std::optional<MonoTime> active_since;        // when it began, where it has an active deadline
  bool placed = false;        // there was room for it, and nobody has taken it since
  std::string preempted_for;  // it was stopped to make room for this one
  bool evicting = false;      // it is being stopped because the device runs short
  Trouble eviction;           // that was; when it may start again
  Trouble resize;             // of changing cpu and memory of what runs
  std::string prepared_hash;  // not empty: a host side was made for it, remove_pod() is owed
  Trouble setup;              // of the Pod as a whole: images, network, volumes
  Trouble removal;            // of removing it, or what keeps it from being started
  // PodSpec::files_hash that its volumes show, as far as this life of the agent saw to it.
  std::string files_hash;
  Trouble files;         // of bringing them up to date
  bool busy = false;     // an action is under way
  uint64_t touched = 0;  // when (by the ledger's count) an action last began or ended

  // Of the last document that had it: for stopping it when no document has it any more.
  std::string source;
  std::vector<std::string> depends_on;

  // The image fields start anew when another spec is wanted.
  void want(const WorkloadSpec& spec);
  // The wanted spec has run on this device, as far as is remembered.
  bool ran_before() const;
};

// Labels given to a Pod, and read back after a restart of the agent.
inline constexpr const char* kSourceLabel = "source";
inline constexpr const char* kRevisionLabel = "revision";
inline constexpr const char* kGraceLabel = "grace-ms";
inline constexpr const char* kDependsLabel = "depends-on";
inline constexpr const char* kActiveLabel = "active-since";  // <boot>/<monotonic nanoseconds>
inline constexpr const char* kOwnerLabel = "owner";          // Kind/name, where there is one
inline constexpr const char* kRestartLabel = "restart";      // when it was ordered: it is done
std::map<std::string, std::string> pod_labels(const WorkloadSpec& workload);
SpecPtr with_pod_labels(const WorkloadSpec& workload);  // a copy
// The value, or "".
std::string pod_label(const runtime::PodStatus& pod, const char* name);

// The newest container of that name, should a crash have left two; null where there is none.
const runtime::ContainerStatus* find_container(const runtime::PodStatus* pod,
                                               const std::string& name);
std::vector<std::string> running_ids(const runtime::PodStatus& pod);
// The container of that name in the spec, or null.
const runtime::ContainerSpec* find_spec(const WorkloadSpec& spec, const std::string& name);
bool restarts_after(const WorkloadSpec& spec, const std::string& container,
                    const ContainerMemory& past);
// Past postStart and the startup probe; and ready for others to use. Of a container that runs.
bool has_started(const runtime::ContainerSpec& spec, const Vitals& vitals);
bool is_ready(const runtime::ContainerSpec& spec, const Vitals& vitals);
inline constexpr const char* kDeadlineReason = "DeadlineExceeded";

// Something that became known about a container, for the event log and the history.
struct ContainerNote {
  enum class Kind { Ended, BackOff };
  Kind kind;
  std::string container;
  std::string message;
};

struct Observation {
  const runtime::PodStatus& pod;
  const WorkloadSpec* spec;  // with the Pod's hash; null where it is not known
  MonoTime now;
  double random = 0;  // in [0, 1), for the jitter
};
// Takes what was observed into `memory`, once for every end of a container. Pure but for `memory`.
std::vector<ContainerNote> remember(WorkloadMemory& memory, const Observation& seen);

}  // namespace wherry
