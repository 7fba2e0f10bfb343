// What probes, hooks and stops of single containers change in the books.

#include <algorithm>
#include <charconv>

#include "agent/reconcile/ledger.h"
#include "agent/reconcile/pod_stop.h"

namespace wherry {
namespace {

using runtime::ContainerSpec;
using runtime::ContainerState;
using runtime::ContainerStatus;
using runtime::HookDone;
using runtime::PodStatus;
using runtime::ProbeNews;

// Kubernetes sets no limit. One that hangs would keep its container from being ready for ever.
constexpr Duration kPostStart = std::chrono::minutes(10);

}  // namespace

Action Ledger::labelled(const Action& action) const {
  const bool start = action.kind == ActionKind::Start;
  if (!start && action.kind != ActionKind::UpdateFiles) return action;
  const auto memory = memory_.find(action.workload);
  Action made = action;
  if (memory != memory_.end() && memory->second.written_hash == action.spec->pod.hash) {
    made.label_hash = memory->second.run_hash;
  }
  if (!start || !action.spec->active_deadline) return made;
  const bool begun = memory != memory_.end() && memory->second.active_since;
  const MonoTime since = begun ? *memory->second.active_since : clock_.now();
  auto spec = std::make_shared<WorkloadSpec>(*action.spec);
  spec->pod.labels[kActiveLabel] = boot_ + "/" + std::to_string(since.time_since_epoch().count());
  made.spec = std::move(spec);
  return made;
}

// Another life of the agent may have begun it; another boot of the device begins anew.
void Ledger::read_active_since(const PodStatus& pod, WorkloadMemory& memory) const {
  if (memory.active_since) return;
  const std::string label = pod_label(pod, kActiveLabel);
  const std::string start = boot_ + "/";
  if (!label.starts_with(start)) return;
  int64_t since = 0;
  const char* end = label.data() + label.size();
  const auto [at, error] = std::from_chars(label.data() + start.size(), end, since);
  if (error == std::errc() && at == end) memory.active_since = MonoTime(Duration(since));
}

void Ledger::started(const WorkloadSpec& spec, const ContainerStatus& status,
                     WorkloadMemory& memory) {
  Vitals& vitals = memory.containers[status.name].vitals;
  const ContainerSpec* container = find_spec(spec, status.name);
  vitals.adopted = false;
  if (container == nullptr || !container->post_start) return;
  vitals.post_start_done = false;
  hooks_.push_back({status.id, spec.name(), status.name, *container->post_start,
                    address_of(spec.pod, observed_[spec.name()]), kPostStart, false});
}

void Ledger::acted_terminate(const ActionResult& result, WorkloadMemory& memory) {
  const Action& action = result.action;
  look_at(action.workload);  // it may have been gone already
  if (!result.status && is_transient(result.status.error())) return;
  const MonoTime end = clock_.now() + action.grace;
  for (const std::string& id : action.container_ids) {
    ContainerStop& stop = memory.stops[id];
    stop.stage = ContainerStop::Stage::Told;
    if (action.reason.empty()) continue;
    stop.reason = action.reason;
    stop.message = action.message;
    if (!stop.kill_at) stop.kill_at = end;
    const auto status = std::find_if(observed_[action.workload].containers.begin(),
                                     observed_[action.workload].containers.end(),
                                     [&](const auto& each) { return each.id == id; });
    const bool good = action.reason == "Completed";
    event(action.workload,
          status == observed_[action.workload].containers.end() ? "" : status->name,
          good ? "Normal" : "Warning", good ? "Killing" : action.reason,
          good ? "all else has ended; the sidecar is stopped" : action.message);
  }
  if (!action.reason.empty() || memory.kill_at) return;
  memory.kill_at = end;
  event(action.workload, "", "Normal", "Killing",
        "stopping, at most " + format_duration(action.grace));
}

Ledger::Alive Ledger::find_alive(const std::string& pod, const std::string& id) {
  const auto seen = observed_.find(pod);
  const auto known = memory_.find(pod);
  if (seen == observed_.end() || known == memory_.end()) return {};
  for (const ContainerStatus& status : seen->second.containers) {
    if (status.id != id || status.state != ContainerState::Running) continue;
    const auto past = known->second.containers.find(status.name);
    const bool same = past != known->second.containers.end() &&
                      past->second.attempt == status.attempt && !past->second.ended;
    return {&status, &known->second, same ? &past->second : nullptr};
  }
  return {};
}

std::vector<runtime::ProbeTarget> Ledger::probe_targets() const {
  std::vector<runtime::ProbeTarget> targets;
  for (const auto& [name, pod] : observed_) {
    const SpecPtr spec = spec_of(name, pod.hash);
    const auto known = memory_.find(name);
    if (!spec || known == memory_.end() || known->second.kill_at) continue;
    for (const ContainerSpec& container : spec->pod.containers) {
      if (!container.startup && !container.liveness && !container.readiness) continue;
      const ContainerStatus* status = find_container(&pod, container.name);
      const auto past = known->second.containers.find(container.name);
      if (status == nullptr || status->state != ContainerState::Running) continue;
      if (past == known->second.containers.end() || !past->second.running_since) continue;
      const Vitals& vitals = past->second.vitals;
      const bool hook_runs = container.post_start && !vitals.post_start_done;
      if (hook_runs || vitals.unhealthy || known->second.stops.contains(status->id)) continue;
      targets.push_back({status->id,
                         name,
                         {spec, &container},
                         address_of(spec->pod, pod),
                         *past->second.running_since,
                         vitals.adopted});
    }
  }
  return targets;
}

// Probes fail, too, because their container ends, and that may be heard of later: what is to come
// of it waits for a look that shows the container still there.
void Ledger::doubt(Doubt doubt) {
  look_at(doubt.pod);
  doubt.since = count_;
  doubts_.push_back(std::move(doubt));
}

// After a look, which says nothing of `passed_over`.
void Ledger::settle_doubts(uint64_t begun, const std::set<std::string>& passed_over) {
  std::erase_if(doubts_, [&](const Doubt& doubt) {
    if (doubt.since >= begun || passed_over.contains(doubt.pod)) return false;
    judge(doubt);
    return true;
  });
}

void Ledger::judge(const Doubt& doubt) {
  const Alive alive = find_alive(doubt.pod, doubt.container_id);
  if (alive.past == nullptr) return;
  if (alive.memory->kill_at || alive.memory->stops.contains(doubt.container_id)) return;
  if (!doubt.event.empty()) {
    event(doubt.pod, alive.status->name, "Warning", doubt.event, doubt.message);
  }
  if (!doubt.unhealthy) return;
  alive.past->vitals.post_start_done = true;
  alive.past->vitals.unhealthy = doubt.unhealthy;
}

void Ledger::probed(const ProbeNews& news) {
  const Alive alive = find_alive(news.pod, news.container_id);
  if (alive.past == nullptr) return;
  Vitals& vitals = alive.past->vitals;
  const auto fails = [&](const char* reason, const char* probe, std::optional<Duration> grace) {
    const std::string message = std::string(probe) + " probe failed: " + news.message;
    vitals.ready = false;
    doubt({news.pod, news.container_id, "", "", Vitals::Unhealthy{reason, message, grace}});
  };
  const SpecPtr spec = spec_of(news.pod, observed_.at(news.pod).hash);
  const ContainerSpec* container = spec ? find_spec(*spec, news.container) : nullptr;
  if (container == nullptr) return;
  switch (news.kind) {
    case ProbeNews::Kind::Started:
      vitals.startup_passed = true;
      break;
    case ProbeNews::Kind::Ready:
      vitals.ready = true;
      vitals.probe_message.clear();
      break;
    case ProbeNews::Kind::NotReady:
      if (vitals.ready) doubt({news.pod, news.container_id, "Unhealthy", news.message, {}});
      vitals.ready = false;
      vitals.probe_message = news.message;
      break;
    case ProbeNews::Kind::StartupFailed:
      fails("StartupProbeFailed", "startup",
            container->startup ? container->startup->grace : std::nullopt);
      break;
    case ProbeNews::Kind::LivenessFailed:
      fails("LivenessProbeFailed", "liveness",
            container->liveness ? container->liveness->grace : std::nullopt);
      break;
  }
}

void Ledger::hooked(const HookDone& done) {
  const runtime::HookRequest& hook = done.hook;
  const Alive alive = find_alive(hook.pod, hook.container_id);
  if (alive.status == nullptr) return;
  // Neither is the container's fault: it could not be run, or the container's end was its own.
  const bool cancelled = !done.status && done.status.error().code() == Code::Cancelled;
  const bool ended = !done.status && done.status.error().code() == Code::NotFound;
  const std::string name = hook.pre_stop ? "preStop" : "postStart";
  const std::string why = done.status ? "" : name + " hook failed: " + done.status.error().full();
  if (ended) look_at(hook.pod);
  if (!hook.pre_stop && !done.status && !cancelled && !ended) {
    doubt({hook.pod, hook.container_id, "FailedPostStartHook", why,
           Vitals::Unhealthy{"PostStartHookError", why, {}}});
    return;
  }
  if (!done.status && !ended) {
    event(hook.pod, hook.container, "Warning",
          hook.pre_stop ? "FailedPreStopHook" : "FailedPostStartHook", why);
  }
  if (!hook.pre_stop) {
    if (alive.past != nullptr) alive.past->vitals.post_start_done = true;
    return;
  }
  const auto stop = alive.memory->stops.find(hook.container_id);
  if (stop == alive.memory->stops.end()) return;
  stop->second.stage = ContainerStop::Stage::HookDone;
  const MonoTime least = clock_.now() + kAfterHook;
  if (stop->second.kill_at) stop->second.kill_at = std::max(*stop->second.kill_at, least);
  if (alive.memory->kill_at) alive.memory->kill_at = std::max(*alive.memory->kill_at, least);
}

}  // namespace wherry
