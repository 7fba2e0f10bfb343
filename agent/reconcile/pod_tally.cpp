#include "agent/reconcile/pod_tally.h"

#include <algorithm>

namespace wherry {
namespace {

using runtime::ContainerRole;
using runtime::ContainerSpec;
using runtime::ContainerState;
using runtime::ContainerStatus;

std::string how_it_ended(const std::string& name, const ContainerMemory& past) {
  const std::string code = std::to_string(past.exit_code);
  if (past.reason == "OOMKilled") {
    return "container " + name + " was killed for want of memory (OOMKilled, exit code " + code +
           "): raise resources.limits.memory or make it need less";
  }
  if (past.reason == "ContainerStatusUnknown") {
    return "container " + name + " ended and nobody saw how; see wherry logs";
  }
  const std::string said = past.said();
  const std::string why = said.empty() ? "; see wherry logs" : said;
  return "container " + name + " ended with exit code " + code + why;
}

class Counter {
 public:
  Counter(const WorkloadSpec& spec, const runtime::PodStatus* pod, const WorkloadMemory* memory,
          MonoTime now)
      : spec_(spec), pod_(pod), memory_(memory), now_(now) {}

  PodTally run() {
    const bool goes_on = main_has_begun() || main_is_over() || init_is_done();
    const size_t before = work();
    for (const ContainerSpec& container : spec_.pod.containers) {
      if (goes_on && container.role == ContainerRole::Main) main(container);
    }
    if (goes_on) sidecars(work() > before);
    watch_deadline();
    return std::move(sum_);
  }

 private:
  size_t work() const { return sum_.running + sum_.unknown + sum_.waiting + sum_.due.size(); }

  const ContainerMemory& past_of(const std::string& name) const {
    static const ContainerMemory kFresh;
    if (memory_ == nullptr) return kFresh;
    const auto found = memory_->containers.find(name);
    const bool valid = found != memory_->containers.end() && found->second.hash == spec_.pod.hash;
    return valid ? found->second : kFresh;
  }

  // In this boot: then the init containers are not run again.
  bool main_has_begun() const {
    return std::any_of(spec_.pod.containers.begin(), spec_.pod.containers.end(),
                       [&](const auto& container) {
                         if (container.role != ContainerRole::Main) return false;
                         const ContainerStatus* status = find_container(pod_, container.name);
                         return status != nullptr && !status->before_boot;
                       });
  }

  // Also before the device was rebooted.
  bool main_is_over() const {
    return std::all_of(spec_.pod.containers.begin(), spec_.pod.containers.end(),
                       [&](const auto& container) {
                         if (container.role != ContainerRole::Main) return true;
                         const ContainerMemory& past = past_of(container.name);
                         return past.ended && !restarts_after(spec_, container.name, past);
                       });
  }

  // False, and the first of them that is not done is seen to.
  bool init_is_done() {
    const auto is_init = [](const auto& each) { return each.role != ContainerRole::Main; };
    const auto& all = spec_.pod.containers;
    const auto count = std::count_if(all.begin(), all.end(), is_init);
    int64_t index = 0;
    for (const ContainerSpec& container : all) {
      if (!is_init(container)) continue;
      const std::string which = std::string("init container ") + container.name + " (" +
                                std::to_string(++index) + " of " + std::to_string(count) + ")";
      const bool done =
          container.role == ContainerRole::Init ? init_one(container) : sidecar_up(container);
      if (done) continue;
      if (sum_.init_message.empty()) {
        sum_.init_message =
            which + " runs" + (container.role == ContainerRole::Init ? "" : " and is not up yet");
      }
      return false;
    }
    return true;
  }

  bool init_one(const ContainerSpec& container) {
    const ContainerStatus* status = find_container(pod_, container.name);
    const ContainerMemory& past = past_of(container.name);
    if (runs(container, status, past)) return false;
    const bool good = past.exit_code == 0 && past.reason != kDeadlineReason;
    const bool now = status != nullptr && !status->before_boot && past.ended;
    if (now && good) return sum_.begun = true;
    if (past.ended && !good && !restarts_after(spec_, container.name, past)) {
      finished(container.name, past);
    } else {
      to_start(container.name, past, now);
    }
    return false;
  }

  bool sidecar_up(const ContainerSpec& container) {
    const ContainerStatus* status = find_container(pod_, container.name);
    const ContainerMemory& past = past_of(container.name);
    counted_.insert(container.name);
    if (runs(container, status, past)) return has_started(container, past.vitals);
    to_start(container.name, past, past.ended && (status == nullptr || !status->before_boot));
    return false;
  }

  // Counted, where it does.
  bool runs(const ContainerSpec& container, const ContainerStatus* status,
            const ContainerMemory& past) {
    if (status != nullptr && status->state == ContainerState::Running) {
      ++sum_.running;
      sum_.begun = true;
      if (container.role == ContainerRole::Init || is_ready(container, past.vitals)) return true;
      not_ready(container.name, past.vitals);
      return true;
    }
    if (status == nullptr || status->state != ContainerState::Unknown) return false;
    ++sum_.unknown;
    sum_.begun = true;
    return true;
  }

  void not_ready(const std::string& name, const Vitals& vitals) {
    ++sum_.not_ready;
    const std::string why = vitals.unhealthy               ? vitals.unhealthy->message
                            : vitals.probe_message.empty() ? "not asked yet"
                                                           : vitals.probe_message;
    sum_.not_ready_reason = vitals.unhealthy ? vitals.unhealthy->reason : "ContainersNotReady";
    sum_.not_ready_message = "container " + name + " is not ready: " + why;
  }

  void main(const ContainerSpec& container) {
    const ContainerStatus* status = find_container(pod_, container.name);
    const ContainerMemory& past = past_of(container.name);
    if (runs(container, status, past)) return;
    if (past.ended && !restarts_after(spec_, container.name, past)) {
      finished(container.name, past);
    } else {
      to_start(container.name, past, past.ended && (status == nullptr || !status->before_boot));
    }
  }

  // Once the main containers began: kept up for as long as one of them has work left.
  void sidecars(bool open) {
    for (const ContainerSpec& container : spec_.pod.containers) {
      if (container.role != ContainerRole::Sidecar) continue;
      const ContainerStatus* status = find_container(pod_, container.name);
      const ContainerMemory& past = past_of(container.name);
      const bool counted = counted_.contains(container.name);
      if (!counted && !runs(container, status, past) && open) {
        to_start(container.name, past, past.ended && (status == nullptr || !status->before_boot));
      }
      const bool running = status != nullptr && status->state == ContainerState::Running;
      if (!open && running) sum_.leftover.push_back(status->id);
    }
  }

  void finished(const std::string& name, const ContainerMemory& past) {
    const bool good = past.exit_code == 0 && past.reason != kDeadlineReason;
    ++(good ? sum_.succeeded : sum_.failed);
    if (good) return;
    sum_.failed_reason = past.reason;
    sum_.failed_message = past.reason == kDeadlineReason
                              ? past.message
                              : how_it_ended(name, past) + "; its restartPolicy lets it be";
  }

  void to_start(const std::string& name, const ContainerMemory& past, bool restarted) {
    sum_.begun = sum_.begun || restarted;
    const bool start_failed = static_cast<bool>(past.start);
    const MonoTime at =
        start_failed ? std::max(past.start.not_before, past.not_before) : past.not_before;
    if (at <= now_) {
      sum_.due.push_back({name, past.next_attempt()});
      return;
    }
    ++sum_.waiting;
    if (!sum_.wake_at || at < *sum_.wake_at) sum_.wake_at = at;
    sum_.trouble_reason = start_failed ? past.start.reason : "CrashLoopBackOff";
    sum_.trouble_message = start_failed
                               ? "container " + name + ": " + past.start.message
                               : how_it_ended(name, past) + "; it is started again after a pause";
  }

  // What is left to do then is not done any more: what runs is stopped, and the Pod has failed.
  void watch_deadline() {
    if (!spec_.active_deadline || memory_ == nullptr || !memory_->active_since) return;
    const MonoTime at = *memory_->active_since + *spec_.active_deadline;
    if (work() == 0) return;
    if (at > now_) {
      if (!sum_.wake_at || at < *sum_.wake_at) sum_.wake_at = at;
      return;
    }
    sum_.expired = true;
    sum_.failed += 1;
    sum_.waiting = 0;
    sum_.due.clear();
    sum_.wake_at.reset();
    sum_.trouble_reason.clear();
    sum_.init_message.clear();
    sum_.failed_reason = kDeadlineReason;
    sum_.failed_message = "it was active for longer than activeDeadlineSeconds";
  }

  const WorkloadSpec& spec_;
  const runtime::PodStatus* pod_;
  const WorkloadMemory* memory_;
  const MonoTime now_;
  std::set<std::string> counted_;
  PodTally sum_;
};

}  // namespace

PodTally tally(const WorkloadSpec& spec, const runtime::PodStatus* pod,
               const WorkloadMemory* memory, MonoTime now) {
  return Counter(spec, pod, memory, now).run();
}

Description describe(const PodTally& sum) {
  if (sum.expired) {
    const bool gone = sum.running + sum.unknown == 0;
    return {gone ? Phase::Failed : Phase::Stopping, sum.failed_reason, sum.failed_message};
  }
  if (!sum.trouble_reason.empty()) {
    return {Phase::BackOff, sum.trouble_reason, sum.trouble_message};
  }
  if (!sum.init_message.empty() && sum.failed == 0) {
    return {Phase::Starting, "PodInitializing", sum.init_message};
  }
  if (!sum.leftover.empty()) {
    return {Phase::Running, "StoppingSidecars", "all else has ended; its sidecars are stopped"};
  }
  if (sum.not_ready > 0 && sum.failed == 0) {
    return {Phase::Running, sum.not_ready_reason, sum.not_ready_message};
  }
  if (sum.running > 0 || sum.unknown > 0) {
    return {Phase::Running, sum.failed > 0 ? sum.failed_reason : "", sum.failed_message};
  }
  if (sum.failed > 0) return {Phase::Failed, sum.failed_reason, sum.failed_message};
  return {Phase::Succeeded, "Completed", ""};
}

bool looks_healthy(const runtime::PodStatus& pod) {
  bool runs = false;
  for (const ContainerStatus& container : pod.containers) {
    const bool running = container.state == ContainerState::Running;
    const bool done = container.role == ContainerRole::Init &&
                      container.state == ContainerState::Exited && container.exit_code == 0;
    if (!running && !done) return false;
    runs = runs || running;
  }
  return runs;
}

}  // namespace wherry
