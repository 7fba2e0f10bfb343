#pragma once
// What the manifest room makes of documents: workloads ready to run.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "runtime/types.h"

namespace wherry {

enum class RestartPolicy { Always, OnFailure, Never };
enum class UpdateStrategy { PullFirst, Handover, DeleteFirst };

// Who made a Pod that no document holds as such.
enum class OwnerKind { None, Deployment, DaemonSet, StatefulSet, Job, CronJob };
std::string_view to_string(OwnerKind kind);  // "" for None
struct Owner {
  OwnerKind kind = OwnerKind::None;
  std::string name;
  bool operator==(const Owner&) const = default;
};

// What is to be done about a Pod now; set by its controller.
enum class Claim {
  Run,   // made so, and kept so
  Once,  // the same, but what runs is not replaced because a tag names another image now
  Keep,  // what is there of it stays as it is, ended or not; nothing is started
  Down,  // it is stopped and removed, and not started for now
};

// Which lines of its containers go upstream.
enum class LogForward { None, Errors, All };
std::string_view to_string(LogForward forward);  // "none", "errors", "all"
std::optional<LogForward> log_forward_of(std::string_view text);

// A containerPort that has a name.
struct NamedPort {
  std::string name;
  runtime::Protocol protocol = runtime::Protocol::Tcp;
  uint16_t port = 0;
  bool operator==(const NamedPort&) const = default;
};

struct WorkloadSpec {
  std::string source;     // "devices/<id>", "groups/<g>", "manifests", "local"
  uint64_t revision = 0;  // of the document it came from; 0 for local manifests
  RestartPolicy restart_policy = RestartPolicy::Always;
  UpdateStrategy update_strategy = UpdateStrategy::PullFirst;
  Duration termination_grace = std::chrono::seconds(30);
  std::optional<Duration> active_deadline{};  // from its start on; then it is stopped and Failed
  std::vector<std::string> depends_on;        // workload names; all exist, no cycle
  int32_t priority = 0;                       // who gets room first, and keeps it
  bool preempts = true;                       // may stop those of lower priority for it
  Owner owner{};
  Claim claim = Claim::Run;
  std::string claim_reason{}, claim_message{};  // Keep, Down: why
  // What Services choose it by, and where they lead to. None of it decides a restart.
  std::map<std::string, std::string> labels{};
  std::vector<NamedPort> named_ports{};
  bool service_links = true;                // its containers find Services in their environment
  std::optional<LogForward> log_forward{};  // none: as the configuration says. Decides no restart
  runtime::PodSpec pod;  // pod.name is the workload's name; pod.hash is set, see spec_hash()

  const std::string& name() const { return pod.name; }
};

// SHA-256 (first 16 hex digits) of everything that decides a restart, image digests left out: they
// are known only after resolution and are compared per container. Stable across agent versions
// unless the meaning changes; equal for documents that differ only in order of maps, comments,
// revision or source. depends_on, priority, update strategy and termination grace do not count, nor
// do sizes that can change in place as long as the class of service stays.
std::string spec_hash(const WorkloadSpec& workload);
// What is hashed: "name=<bytes>:<value>;" and "name{…}", in an order of its own.
std::string canonical_spec(const WorkloadSpec& workload);
// The two want the same but for how their images are written.
bool differ_in_images_only(const WorkloadSpec& a, const WorkloadSpec& b);

}  // namespace wherry
