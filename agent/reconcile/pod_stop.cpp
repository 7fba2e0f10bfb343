#include "agent/reconcile/pod_stop.h"

#include <algorithm>
#include <charconv>

namespace wherry {
namespace {

using runtime::ContainerRole;
using runtime::ContainerState;
using runtime::ContainerStatus;
using Stage = ContainerStop::Stage;

constexpr const char* kLoopback = "127.0.0.1";

const ContainerStop* stop_of(const Stopping& pod, const std::string& id) {
  const auto found = pod.memory.stops.find(id);
  return found == pod.memory.stops.end() ? nullptr : &found->second;
}

// Not told yet, or through with its hook.
bool is_due(const Stopping& pod, const std::string& id) {
  const ContainerStop* stop = stop_of(pod, id);
  return stop == nullptr || stop->stage == Stage::HookDone;
}

const ContainerStatus* status_of(const Stopping& pod, const std::string& id) {
  for (const ContainerStatus& container : pod.pod.containers) {
    if (container.id == id) return &container;
  }
  return nullptr;
}

}  // namespace

Duration grace_of(const WorkloadSpec* workload, const runtime::PodStatus& pod) {
  if (workload != nullptr) return workload->termination_grace;
  int64_t ms = 30'000;
  const std::string text = pod_label(pod, kGraceLabel);
  std::from_chars(text.data(), text.data() + text.size(), ms);
  return std::chrono::milliseconds(ms);
}

std::vector<std::string> next_to_stop(const Stopping& pod, const std::vector<std::string>& ids) {
  std::vector<std::string> first, due;
  std::map<std::string, std::string> sidecars;  // by name
  for (const std::string& id : ids) {
    const ContainerStatus* status = status_of(pod, id);
    if (status == nullptr || status->state != ContainerState::Running) continue;
    if (status->role == ContainerRole::Sidecar && pod.spec != nullptr) {
      sidecars[status->name] = id;
    } else {
      first.push_back(id);
    }
  }
  for (const std::string& id : first) {
    if (is_due(pod, id)) due.push_back(id);
  }
  if (!first.empty() || pod.spec == nullptr) return due;
  const auto& order = pod.spec->pod.containers;
  for (auto container = order.rbegin(); container != order.rend(); ++container) {
    const auto found = sidecars.find(container->name);
    if (found == sidecars.end()) continue;
    if (is_due(pod, found->second)) due.push_back(found->second);
    break;
  }
  return due;
}

void tell(const Stopping& pod, const std::vector<std::string>& ids, Action& action) {
  for (const std::string& id : ids) {
    const ContainerStatus* status = status_of(pod, id);
    const auto* container =
        pod.spec == nullptr || status == nullptr ? nullptr : find_spec(*pod.spec, status->name);
    const bool hook = container != nullptr && container->pre_stop && stop_of(pod, id) == nullptr &&
                      action.grace > Duration::zero();
    if (!hook) {
      action.container_ids.push_back(id);
      continue;
    }
    action.hooks.push_back({id, pod.pod.name, status->name, *container->pre_stop,
                            address_of(pod.spec->pod, pod.pod), action.grace, true});
  }
}

Duration hook_slack(const Stopping& pod) {
  for (const std::string& id : running_ids(pod.pod)) {
    const ContainerStop* stop = stop_of(pod, id);
    if (stop != nullptr && stop->stage == Stage::Hook) return kAfterHook;
  }
  return {};
}

std::vector<StopOrder> stop_orders(const Stopping& pod, const PodTally& sum) {
  const Duration grace = pod.spec->termination_grace;
  if (sum.expired) {
    return {{running_ids(pod.pod), grace, sum.failed_reason, sum.failed_message}};
  }
  std::vector<StopOrder> orders;
  if (!sum.leftover.empty()) orders.push_back({sum.leftover, grace, "Completed", ""});
  for (const std::string& id : running_ids(pod.pod)) {
    const ContainerStatus* status = status_of(pod, id);
    const auto past = pod.memory.containers.find(status->name);
    if (past == pod.memory.containers.end() || !past->second.vitals.unhealthy) continue;
    const Vitals::Unhealthy& why = *past->second.vitals.unhealthy;
    orders.push_back({{id}, why.grace.value_or(grace), why.reason, why.message});
  }
  // One whose hook is done, whatever became of the reason to stop it.
  for (const auto& [id, stop] : pod.memory.stops) {
    if (!stop.kill_at || stop.stage != Stage::HookDone) continue;
    orders.push_back({{id}, grace, stop.reason, stop.message});
  }
  return orders;
}

LateStops late_to_stop(const Stopping& pod, MonoTime now) {
  LateStops late;
  for (const std::string& id : running_ids(pod.pod)) {
    const ContainerStop* stop = stop_of(pod, id);
    if (stop == nullptr || !stop->kill_at) continue;
    const MonoTime at =
        *stop->kill_at + (stop->stage == Stage::Hook ? kAfterHook : Duration::zero());
    if (at <= now) {
      late.ids.push_back(id);
    } else if (!late.wake_at || at < *late.wake_at) {
      late.wake_at = at;
    }
  }
  return late;
}

std::string address_of(const runtime::PodSpec& spec, const runtime::PodStatus& pod) {
  return spec.host_network || pod.ip.empty() ? kLoopback : pod.ip;
}

}  // namespace wherry
