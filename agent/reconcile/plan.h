#pragma once
// What to do next for each workload: a pure function of what is wanted, what was observed and what
// is remembered. No I/O and no clock of its own.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/reconcile/capacity.h"
#include "agent/reconcile/memory.h"
#include "agent/reconcile/state_view.h"
#include "runtime/devices.h"
#include "runtime/runtime.h"

namespace wherry {

enum class ActionKind {
  CheckImages,  // are they all in the store?
  UpdateFiles,  // of the volumes of a Pod that runs
  Resize,       // cpu and memory of the containers named, which run
  Start,        // prepare the Pod, start the containers named
  Terminate,    // SIGTERM to the containers named; preStop hooks of others are begun
  Kill,         // SIGKILL to the containers named
  Remove,       // what is left of the Pod, or only the containers named; kills what still runs
};

struct ContainerStart {
  std::string name;
  uint32_t attempt = 0;
  bool operator==(const ContainerStart&) const = default;
};

// Short: none waits for a grace period, a backoff, a dependency or a download.
struct Action {
  ActionKind kind{};
  std::string workload;
  SpecPtr spec;                             // CheckImages, UpdateFiles, Resize, Start
  std::vector<ContainerStart> starts;       // Start; Resize: of the same order as the ids
  std::vector<std::string> container_ids;   // Resize, Terminate, Kill, Remove
  std::vector<runtime::HookRequest> hooks;  // Terminate: their containers get SIGTERM later
  bool whole_pod = false;                   // Remove: the host side, logs and emptyDirs too
  Duration grace{};                         // Terminate: until it may be killed
  // Terminate: why these containers are stopped while their Pod stays; empty: the Pod goes.
  std::string reason{}, message{};
  std::string preempted_for{};  // Terminate, Remove: the workload that gets its room
  std::string label_hash{};     // Start, UpdateFiles: that the Pod bears, where not the spec's
};

// What is known of fetching one reference.
struct PullMemory {
  bool busy = false;
  Trouble trouble;
  std::vector<runtime::RegistryCredential> credentials{};  // of the latest attempt
  runtime::PullProgress progress{};                        // of the pull under way
};

struct PlanInput {
  const std::map<std::string, SpecPtr>& desired;
  const std::map<std::string, runtime::PodStatus>& observed;
  const std::map<std::string, WorkloadMemory>& memory;
  const std::map<std::string, PullMemory>& pulls;
  // Name of each image in the store now -> its digest.
  const std::map<std::string, std::string>& digests;
  // Pods of these sources are never removed: what the source wants is not known.
  const std::set<std::string>& held_sources;
  MonoTime now;
  Capacity capacity{};
  std::shared_ptr<const runtime::DeviceInventory> devices{};  // null: nobody has looked yet
};

// About one workload: the next action, if any, and why it is as it is, for people.
struct Verdict {
  std::optional<Action> action;
  std::set<std::string> pulls;  // references to be fetched, begun or not
  Phase phase = Phase::Pending;
  std::string reason, message;
  std::string pull_aside;  // the end of `message`, where it is about a pull
  bool ready = false;
  std::optional<MonoTime> wake_at;  // plan again no later than this
};

struct Plan {
  std::map<std::string, Verdict> workloads;
  std::set<std::string> pulls;  // of all
  std::optional<MonoTime> wake_at;
};

Plan plan(const PlanInput& input);

bool is_pinned(const std::string& reference);  // names a digest

// True when the Pod is not what the workload wants: another spec, or a tag that now names another
// image in the store than the one it runs. An image that is not in the store says nothing.
bool needs_replacement(const WorkloadSpec& workload, const runtime::PodStatus& pod,
                       const std::map<std::string, std::string>& digests);

// True when the Pod, which is of the version `before`, runs what `wanted` wants: they differ in
// nothing but how they write images. `asked`: the references with PullPolicy::Always about which
// the registry was asked; what the store has under others says nothing about what is wanted.
bool runs_already(const WorkloadSpec& wanted, const WorkloadSpec& before,
                  const runtime::PodStatus& pod, const std::map<std::string, std::string>& digests,
                  const std::set<std::string>& asked);

}  // namespace wherry
