#pragma once
// What the reconciler shows to the rest of the agent: an immutable picture of the present state.
// Field names and values are those of the ReportedState document (docs/topics.md).

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/manifest/document.h"
#include "agent/manifest/workload_spec.h"
#include "agent/reconcile/pull_view.h"
#include "base/clock.h"

namespace wherry {

enum class Phase { Pending, Pulling, Starting, Running, Succeeded, Failed, BackOff, Stopping };
std::string_view to_string(Phase phase);

struct ContainerView {
  std::string name, image, digest;
  std::string state;  // waiting, running, exited
  bool ready = false;
  uint32_t restarts = 0;
  std::optional<int32_t> exit_code;
  std::string reason;
  std::string id;  // containerd's; empty where there is none
  uint32_t pid = 0;
  WallTime started_at{}, finished_at{};
  std::string message{};  // its last words, where it has ended
  std::string role{};     // init, sidecar; empty: a main one
};

struct WorkloadView {
  std::string name, source;
  uint64_t revision = 0;
  Phase phase = Phase::Pending;
  bool ready = false;
  std::string reason, message, ip;
  WallTime since{};
  std::vector<ContainerView> containers;
  std::vector<PullView> pulls{};  // the images it waits for, those that are being pulled
  std::string pull_aside{};       // what `message` has to say after the progress
  std::string owner{};            // Kind/name of the object that made it, where there is one
  WallTime next{};  // when something is tried again, or looked at again; not in ReportedState
  // Neither is part of ReportedState.
  bool leaving = false;                     // no document has it any more
  std::optional<LogForward> log_forward{};  // what of its logs goes upstream, where it says so

  // Also words `message`, where the phase is Pulling.
  void show_pulls(std::vector<PullView> now);
};

// An object that owns Pods, and how far it has got.
struct ControllerView {
  std::string kind, name, source;
  uint64_t revision = 0;
  // Deployment, DaemonSet, StatefulSet: Progressing, Available. Job: Active, Suspended, Complete,
  // Failed. CronJob: Scheduled, Active, Suspended, Waiting.
  std::string phase;
  std::string reason, message;
  WallTime since{};
  std::string owner;  // of a Job: the CronJob that started it
  // Pods; of a CronJob: Jobs.
  size_t wanted = 0, ready = 0, updated = 0, active = 0, succeeded = 0, failed = 0;
  WallTime started_at{}, finished_at{};  // Job
  std::string schedule, time_zone;       // CronJob
  WallTime last{}, next{};               // … time of the last Job started, and of the next
};

// A name and a port that lead to Pods of this device.
struct ServiceView {
  struct Port {
    std::string name, protocol;  // TCP, UDP, SCTP
    uint16_t port = 0;
    uint16_t node_port = 0;  // 0: none
  };
  std::string name, source;
  uint64_t revision = 0;
  std::string address;  // empty: headless
  std::vector<Port> ports;
  std::vector<std::string> pods;  // that it leads to
  std::string reason, message;    // why it leads nowhere
};

struct DesiredView {
  struct Rejected {
    uint64_t revision = 0;
    std::vector<Finding> errors;
    bool unbelieved = false;  // for its signature: nothing of it was read
  };
  std::string source;
  uint64_t revision = 0;
  std::string digest;
  std::string state;  // Applying, Applied, Failed, RolledBack
  std::vector<Finding> errors, warnings;
  std::optional<Rejected> rejected;
};

struct ConditionView {
  std::string type;  // ContainerdReady, BrokerConnected, StoreReady, CertificateValid
  bool status = false;
  std::string reason, message;
  WallTime since{};
};

struct DeviceView {
  std::string id;
  std::vector<std::string> groups;
  std::map<std::string, std::string> labels;
  std::string agent, boot, os, kernel, arch;
  int cpus = 0;
  int64_t memory_bytes = 0;
  std::string containerd;  // version; empty while unknown
};

// Why an image stays on the device: the first that holds.
enum class Kept {
  Running,    // a container was made from it
  Wanted,     // by an accepted document
  Pulling,    // it is being pulled (again)
  Previous,   // the version a workload ran before the present one
  Preloaded,  // it was laid ready and may not be had again
  Imported,   // by hand, or by somebody else
  Unused,     // it does not: may be removed
};
std::string_view to_string(Kept kept);  // "running", "wanted", …

struct ImageView {
  std::string name, digest;
  int64_t size_bytes = 0;
  std::vector<std::string> users;  // workloads that run it or want it, sorted
  WallTime last_used{};            // a workload began or ceased to use it, or it came here
  Kept kept = Kept::Wanted;
};

// What the agent took of the link and of the disk on the last whole day (UTC) that it saw.
struct UsageView {
  std::string day;  // 2026-11-26
  uint64_t sent_bytes = 0, received_bytes = 0, written_bytes = 0;
};

struct StateView {
  WallTime at{};
  bool first_pass_done = false;
  DeviceView device;
  std::vector<DesiredView> desired;
  std::vector<WorkloadView> workloads;  // sorted by name
  std::vector<ConditionView> conditions;
  std::vector<ImageView> images;              // sorted by name; not part of ReportedState
  std::vector<ControllerView> controllers{};  // sorted by kind and name
  std::vector<ServiceView> services{};        // sorted by name
  std::optional<UsageView> usage{};           // changes once a day

  const WorkloadView* find(std::string_view name) const;
};

// The ReportedState document, compact JSON. Two views that differ only in `at` give the same text
// but for "at".
std::string to_reported_json(const StateView& view);
std::string to_json(const WorkloadView& workload);
std::string to_json(const ControllerView& controller);
std::string to_json(const ServiceView& service);

// The newest view, for readers on any thread.
class StateBoard {
 public:
  // Called after each set(), on its thread. Before the first of them.
  void listen(std::function<void(const StateView&)> listener) { listener_ = std::move(listener); }
  void set(std::shared_ptr<const StateView> view);
  std::shared_ptr<const StateView> get() const;  // never null

 private:
  std::function<void(const StateView&)> listener_;
  mutable std::mutex mutex_;
  std::shared_ptr<const StateView> view_ = std::make_shared<const StateView>();
};

}  // namespace wherry
