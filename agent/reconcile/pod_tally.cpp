#include "agent/reconcile/pod_tally.h"

#include <algorithm>

namespace wherry {
namespace {

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
  return "container " + name + " ended with exit code " + code + "; see wherry logs";
}

class Counter {
 public:
  Counter(const WorkloadSpec& spec, const runtime::PodStatus* pod, const WorkloadMemory* memory,
          MonoTime now)
      : spec_(spec), pod_(pod), memory_(memory), now_(now) {}

  PodTally run() {
    for (const runtime::ContainerSpec& container : spec_.pod.containers) one(container.name);
    return std::move(sum_);
  }

 private:
  const ContainerMemory& past_of(const std::string& name) const {
    static const ContainerMemory kFresh;
    if (memory_ == nullptr) return kFresh;
    const auto found = memory_->containers.find(name);
    const bool valid = found != memory_->containers.end() && found->second.hash == spec_.pod.hash;
    return valid ? found->second : kFresh;
  }

  void one(const std::string& name) {
    const ContainerStatus* status = find_container(pod_, name);
    const ContainerMemory& past = past_of(name);
    if (status != nullptr && status->state == ContainerState::Running) {
      ++sum_.running;
    } else if (status != nullptr && status->state == ContainerState::Unknown) {
      ++sum_.unknown;
    } else if (past.ended && !restarts_after(spec_.restart_policy, past.exit_code)) {
      finished(name, past);
    } else {
      to_start(name, past, past.ended && (status == nullptr || !status->before_boot));
    }
  }

  void finished(const std::string& name, const ContainerMemory& past) {
    ++(past.exit_code == 0 ? sum_.succeeded : sum_.failed);
    if (past.exit_code == 0) return;
    sum_.failed_reason = past.reason;
    sum_.failed_message = how_it_ended(name, past) + "; its restartPolicy lets it be";
  }

  void to_start(const std::string& name, const ContainerMemory& past, bool restarted) {
    sum_.restarted = sum_.restarted || restarted;
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

  const WorkloadSpec& spec_;
  const runtime::PodStatus* pod_;
  const WorkloadMemory* memory_;
  const MonoTime now_;
  PodTally sum_;
};

}  // namespace

PodTally tally(const WorkloadSpec& spec, const runtime::PodStatus* pod,
               const WorkloadMemory* memory, MonoTime now) {
  return Counter(spec, pod, memory, now).run();
}

}  // namespace wherry
