#include "agent/reconcile/memory.h"

#include <algorithm>

#include "base/text.h"

namespace wherry {
namespace {

using runtime::ContainerState;
using runtime::ContainerStatus;
using runtime::PodStatus;

std::string end_reason(const ContainerStatus& status) {
  if (status.oom_killed) return "OOMKilled";
  // Nobody was there to see it: the task is gone, and with it how it ended.
  if (status.finished_at == WallTime{} && status.exit_code != 0) return "ContainerStatusUnknown";
  return status.exit_code == 0 ? "Completed" : "Error";
}

std::string describe_end(const std::string& name, const ContainerMemory& memory) {
  std::string text =
      "container " + name + " ended with exit code " + std::to_string(memory.exit_code);
  text += memory.said();
  if (memory.reason == "OOMKilled") text += ": killed for want of memory";
  return text;
}

class Rememberer {
 public:
  Rememberer(WorkloadMemory& memory, const Observation& seen) : memory_(memory), seen_(seen) {}

  std::vector<ContainerNote> run() {
    std::set<std::string> names;
    for (const ContainerStatus& status : seen_.pod.containers) names.insert(status.name);
    for (const std::string& name : names) one(*find_container(&seen_.pod, name));
    return std::move(notes_);
  }

 private:
  void one(const ContainerStatus& status) {
    ContainerMemory& past = memory_.containers[status.name];
    if (past.hash != seen_.pod.hash) {
      past = {};
      past.hash = seen_.pod.hash;
    }
    if (status.attempt < past.attempt) return;  // a later one was begun and came to nothing
    const bool newer = status.attempt > past.attempt;
    if (status.state == ContainerState::Running) {
      running(status, past, newer);
    } else if (status.state == ContainerState::Exited && (newer || !past.ended)) {
      exited(status, past);
    } else if (status.state == ContainerState::Exited && !status.before_boot &&
               status.message.size() > past.message.size() && !was_stopped(past)) {
      past.message = status.message;  // the last of its log came after its end
    } else if (status.state == ContainerState::Created && newer) {
      past.attempt = status.attempt;
      past.ended = false;
    }
  }

  // With a message of ours, which is said rather than its own.
  static bool was_stopped(const ContainerMemory& past) {
    static const std::set<std::string_view> kOwn{"Completed", "Error", "OOMKilled",
                                                 "ContainerStatusUnknown"};
    return !past.message.empty() && !kOwn.contains(past.reason);
  }

  void running(const ContainerStatus& status, ContainerMemory& past, bool newer) {
    if (!newer && past.running_since && !past.ended) return;
    past.vitals = {};
    past.vitals.adopted = past.vitals.post_start_done = true;
    past.attempt = status.attempt;
    past.ended = false;
    past.running_since = seen_.now;
    past.started_at = status.started_at;
    past.start.clear();
  }

  void exited(const ContainerStatus& status, ContainerMemory& past) {
    past.attempt = status.attempt;
    const bool seen_running = past.running_since.has_value();
    const Duration ran = seen_running ? seen_.now - *past.running_since : Duration::zero();
    past.running_since.reset();
    if (status.before_boot) {
      past.ended = false;  // the machine ended, not the container
      past.not_before = seen_.now;
      return;
    }
    past.ended = true;
    past.exit_code = status.exit_code;
    past.reason = end_reason(status);
    past.message = status.message;
    const auto stop = memory_.stops.find(status.id);
    if (stop != memory_.stops.end() && !stop->second.reason.empty()) {
      past.reason = stop->second.reason;
      if (past.message.empty()) past.message = stop->second.message;
    }
    past.started_at = status.started_at;
    past.finished_at = status.finished_at;
    notes_.push_back({ContainerNote::Kind::Ended, status.name, describe_end(status.name, past)});
    if (seen_.spec == nullptr || memory_.kill_at) return;  // it goes anyway
    if (!restarts_after(*seen_.spec, status.name, past)) return;
    back_off(status, past, seen_running, ran);
  }

  void back_off(const ContainerStatus& status, ContainerMemory& past, bool seen_running,
                Duration ran) {
    if (!seen_running) {
      // It ended while the agent was away: one attempt at once, the count goes on.
      past.failures = past.attempt;
      past.not_before = seen_.now;
    } else {
      if (ran >= kRecovered) past.failures = 0;
      past.not_before = seen_.now + kCrashBackoff.delay(past.failures, seen_.random);
    }
    if (past.failures < UINT32_MAX) ++past.failures;
    if (past.not_before <= seen_.now) return;
    notes_.push_back({ContainerNote::Kind::BackOff, status.name,
                      "container " + status.name + " keeps ending; its next start waits " +
                          std::to_string(std::chrono::duration_cast<std::chrono::seconds>(
                                             past.not_before - seen_.now)
                                             .count()) +
                          " s"});
  }

  WorkloadMemory& memory_;
  const Observation& seen_;
  std::vector<ContainerNote> notes_;
};

}  // namespace

std::string ContainerMemory::said() const {
  constexpr size_t kMost = 300;
  std::string text(trim(message));
  if (text.empty()) return {};
  std::replace(text.begin(), text.end(), '\n', ' ');
  return ": " + (text.size() > kMost ? text.substr(0, kMost) + "…" : text);
}

void Trouble::failed(const Error& error, std::string_view fallback_reason, MonoTime now) {
  if (failures < UINT32_MAX) ++failures;
  // Spread out, because a registry tells all devices the same.
  // In seconds: what was asked for may be more than the clock can count.
  const Duration asked =
      std::min(error.retry_after(), std::chrono::floor<std::chrono::seconds>(kLongestPatience));
  const double spread = 1 + 0.1 * random_unit();
  const Duration wait(static_cast<int64_t>(static_cast<double>(asked.count()) * spread));
  not_before = now + std::max(kCrashBackoff.delay(failures, random_unit()), wait);
  reason = error.reason().empty() ? fallback_reason : error.reason();
  message = error.full();
}

void WorkloadMemory::want(const WorkloadSpec& spec) {
  source = spec.source;
  depends_on = spec.depends_on;
  if (wanted_hash == spec.pod.hash) return;
  wanted_hash = spec.pod.hash;
  images = ImagesState::Unknown;
  missing.clear();
  pulled.clear();
  files.clear();
  resize.clear();
  setup.clear();
  if (!kill_at) removal.clear();
}

bool WorkloadMemory::ran_before() const {
  return std::any_of(containers.begin(), containers.end(), [this](const auto& entry) {
    return entry.second.hash == wanted_hash && entry.second.started_at != WallTime{};
  });
}

std::map<std::string, std::string> pod_labels(const WorkloadSpec& workload) {
  const auto grace =
      std::chrono::duration_cast<std::chrono::milliseconds>(workload.termination_grace);
  std::map<std::string, std::string> labels{{kSourceLabel, workload.source},
                                            {kRevisionLabel, std::to_string(workload.revision)},
                                            {kGraceLabel, std::to_string(grace.count())},
                                            {kDependsLabel, join(workload.depends_on, ",")}};
  if (workload.owner.kind != OwnerKind::None) {
    labels[kOwnerLabel] = std::string(to_string(workload.owner.kind)) + "/" + workload.owner.name;
  }
  return labels;
}

SpecPtr with_pod_labels(const WorkloadSpec& workload) {
  auto spec = std::make_shared<WorkloadSpec>(workload);
  for (auto& [label, value] : pod_labels(workload)) spec->pod.labels[label] = value;
  return spec;
}

std::string pod_label(const PodStatus& pod, const char* name) {
  const auto found = pod.labels.find(name);
  return found == pod.labels.end() ? std::string() : found->second;
}

const ContainerStatus* find_container(const PodStatus* pod, const std::string& name) {
  if (pod == nullptr) return nullptr;
  const ContainerStatus* best = nullptr;
  for (const ContainerStatus& container : pod->containers) {
    if (container.name == name && (best == nullptr || container.attempt >= best->attempt)) {
      best = &container;
    }
  }
  return best;
}

std::vector<std::string> running_ids(const PodStatus& pod) {
  std::vector<std::string> ids;
  for (const ContainerStatus& container : pod.containers) {
    if (container.state == ContainerState::Running) ids.push_back(container.id);
  }
  return ids;
}

const runtime::ContainerSpec* find_spec(const WorkloadSpec& spec, const std::string& name) {
  for (const runtime::ContainerSpec& container : spec.pod.containers) {
    if (container.name == name) return &container;
  }
  return nullptr;
}

bool restarts_after(const WorkloadSpec& spec, const std::string& container,
                    const ContainerMemory& past) {
  if (past.reason == kDeadlineReason) return false;
  const runtime::ContainerSpec* known = find_spec(spec, container);
  const auto role = known == nullptr ? runtime::ContainerRole::Main : known->role;
  if (role == runtime::ContainerRole::Sidecar) return true;
  const bool failed = past.exit_code != 0;
  if (role == runtime::ContainerRole::Init || spec.restart_policy == RestartPolicy::OnFailure) {
    return failed && spec.restart_policy != RestartPolicy::Never;
  }
  return spec.restart_policy == RestartPolicy::Always;
}

bool has_started(const runtime::ContainerSpec& spec, const Vitals& vitals) {
  return (!spec.post_start || vitals.post_start_done) && (!spec.startup || vitals.startup_passed);
}

bool is_ready(const runtime::ContainerSpec& spec, const Vitals& vitals) {
  return has_started(spec, vitals) && !vitals.unhealthy && (!spec.readiness || vitals.ready);
}

std::vector<ContainerNote> remember(WorkloadMemory& memory, const Observation& seen) {
  return Rememberer(memory, seen).run();
}

}  // namespace wherry
