#include "agent/reconcile/view_builder.h"

#include <algorithm>

#include "agent/reconcile/lookup.h"
#include "agent/reconcile/order.h"

namespace wherry {
namespace {

using runtime::ContainerState;
using runtime::ContainerStatus;
using runtime::PodStatus;

class WorkloadViewer {
 public:
  WorkloadViewer(const PlanInput& input, const std::string& name, const Verdict& verdict)
      : now_(input.now), pulls_(input.pulls), verdict_(verdict) {
    if (const SpecPtr* wanted = lookup(input.desired, name)) wanted_ = wanted->get();
    pod_ = lookup(input.observed, name);
    memory_ = lookup(input.memory, name);
    view_.name = name;
  }

  WorkloadView run() {
    view_.phase = verdict_.phase;
    view_.reason = verdict_.reason;
    view_.message = verdict_.message;
    view_.ready = verdict_.ready;
    view_.pull_aside = verdict_.pull_aside;
    view_.show_pulls(pulls());
    view_.leaving = wanted_ == nullptr;
    if (pod_ != nullptr) view_.ip = pod_->ip;
    if (wanted_ != nullptr) {
      view_.source = wanted_->source;
      view_.revision = wanted_->revision;
      view_.log_forward = wanted_->log_forward;
      if (wanted_->owner.kind != OwnerKind::None) {
        view_.owner = std::string(to_string(wanted_->owner.kind)) + "/" + wanted_->owner.name;
      }
      for (const auto& container : wanted_->pod.containers) {
        one(container.name, container.image, container.role);
      }
    } else if (pod_ != nullptr) {
      view_.source = pod_label(*pod_, kSourceLabel);
      view_.owner = pod_label(*pod_, kOwnerLabel);
      view_.revision = std::strtoull(pod_label(*pod_, kRevisionLabel).c_str(), nullptr, 10);
      for (const ContainerStatus& status : pod_->containers) {
        if (find_container(pod_, status.name) == &status) {
          one(status.name, status.image, status.role);
        }
      }
    } else if (memory_ != nullptr) {
      view_.source = memory_->source;
    }
    return std::move(view_);
  }

 private:
  std::vector<PullView> pulls() const {
    std::vector<PullView> list;
    for (const std::string& reference : verdict_.pulls) {
      const PullMemory* pull = lookup(pulls_, reference);
      if (pull == nullptr || !pull->busy) continue;
      list.push_back({reference, pull->progress.done_bytes, pull->progress.total_bytes,
                      pull->progress.bytes_per_second, pull->progress.checking_bytes});
    }
    return list;
  }

  const ContainerMemory* past_of(const std::string& name) const {
    if (memory_ == nullptr) return nullptr;
    const ContainerMemory* past = lookup(memory_->containers, name);
    if (past == nullptr) return nullptr;
    const bool valid = (wanted_ != nullptr && past->hash == wanted_->pod.hash) ||
                       (pod_ != nullptr && past->hash == pod_->hash);
    return valid ? past : nullptr;
  }

  void one(const std::string& name, const std::string& image, runtime::ContainerRole role) {
    ContainerView container;
    container.name = name;
    container.image = image;
    if (role == runtime::ContainerRole::Init) container.role = "init";
    if (role == runtime::ContainerRole::Sidecar) container.role = "sidecar";
    const ContainerStatus* status = find_container(pod_, name);
    if (const ContainerMemory* past = past_of(name)) remembered(*past, container);
    if (status != nullptr) observed(*status, container);
    if (container.state.empty()) {
      container.state = "waiting";
      if (container.reason.empty()) container.reason = verdict_.reason;
    }
    view_.containers.push_back(std::move(container));
  }

  void remembered(const ContainerMemory& past, ContainerView& container) const {
    container.restarts = past.attempt;
    container.started_at = past.started_at;
    if (past.ended) {
      container.exit_code = past.exit_code;
      container.finished_at = past.finished_at;
      container.message = past.message;
      const bool restarts = wanted_ != nullptr && restarts_after(*wanted_, container.name, past);
      if (restarts) {
        if (past.not_before > now_) container.reason = "CrashLoopBackOff";
      } else {
        container.state = "exited";
        container.reason = past.reason;
      }
    }
    if (past.start && container.state.empty()) container.reason = past.start.reason;
  }

  // What the Pod was made from; null: nobody knows any more, and its Pod says whether it is ready.
  const WorkloadSpec* running_spec() const {
    if (wanted_ != nullptr && pod_->hash == wanted_->pod.hash) return wanted_;
    const bool before =
        memory_ != nullptr && memory_->previous && memory_->previous->pod.hash == pod_->hash;
    return before ? memory_->previous.get() : nullptr;
  }

  bool ready(const ContainerStatus& status) const {
    const ContainerMemory* past = past_of(status.name);
    const WorkloadSpec* made_from = running_spec();
    if (made_from == nullptr || past == nullptr) return true;
    const auto* spec = find_spec(*made_from, status.name);
    return spec == nullptr || is_ready(*spec, past->vitals);
  }

  void observed(const ContainerStatus& status, ContainerView& container) const {
    container.id = status.id;
    container.digest = status.image_digest;
    container.restarts = std::max(container.restarts, status.attempt);
    if (status.state == ContainerState::Running) {
      container.state = "running";
      container.ready = ready(status);
      container.message.clear();
      container.pid = status.pid;
      container.started_at = status.started_at;
      container.finished_at = {};
      container.exit_code.reset();
      container.reason.clear();
    } else if (status.state == ContainerState::Unknown) {
      container.state = "waiting";
      container.reason = "ContainerStatusUnknown";
    }
  }

  const MonoTime now_;
  const std::map<std::string, PullMemory>& pulls_;
  const Verdict& verdict_;
  const WorkloadSpec* wanted_ = nullptr;
  const PodStatus* pod_ = nullptr;
  const WorkloadMemory* memory_ = nullptr;
  WorkloadView view_;
};

// One that runs and has a reason is not what its document says: its former size or files, or a
// device that is gone.
bool is_settled(const WorkloadView& workload) {
  if (workload.phase == Phase::Pending && workload.reason == kStoppedReason) return true;
  const bool runs = workload.phase == Phase::Running && workload.ready;
  return workload.phase == Phase::Succeeded || (runs && workload.reason.empty());
}

// Of what ran or ended before this agent began, the containers know since when it is so.
WallTime since_of_adopted(const WorkloadView& workload, WallTime now) {
  WallTime since{};
  for (const ContainerView& container : workload.containers) {
    const bool over = workload.phase == Phase::Succeeded || workload.phase == Phase::Failed;
    since = std::max(since, over ? container.finished_at : container.started_at);
  }
  const bool lasts = is_settled(workload) || workload.phase == Phase::Failed;
  return lasts && since != WallTime{} ? std::min(since, now) : now;
}

}  // namespace

std::vector<WorkloadView> view_workloads(const PlanInput& input, const Plan& plan,
                                         const StateView& before, WallTime now) {
  std::vector<WorkloadView> views;
  views.reserve(plan.workloads.size());
  for (const auto& [name, verdict] : plan.workloads) {
    WorkloadView view = WorkloadViewer(input, name, verdict).run();
    if (verdict.wake_at && *verdict.wake_at > input.now) {
      view.next = now + (*verdict.wake_at - input.now);
    }
    const WorkloadView* old = before.find(name);
    const bool same = old != nullptr && old->phase == view.phase && old->reason == view.reason;
    if (same) {
      view.since = old->since;
    } else {
      view.since = before.first_pass_done ? now : since_of_adopted(view, now);
    }
    views.push_back(std::move(view));
  }
  return views;
}

std::string desired_state(const std::string& source, bool readable, const StateView& view) {
  bool settled = readable;
  for (const WorkloadView& workload : view.workloads) {
    // What an attempt of a Job comes to is for the Job to judge.
    if (workload.source != source || workload.owner.starts_with("Job/")) continue;
    if (workload.phase == Phase::Failed || workload.phase == Phase::BackOff) return "Failed";
    settled = settled && is_settled(workload);
  }
  for (const ControllerView& controller : view.controllers) {
    // One bad night of a CronJob is not the document's.
    if (controller.source != source || !controller.owner.empty()) continue;
    if (controller.phase == "Failed") return "Failed";
    settled = settled && controller.phase != "Progressing";
  }
  if (!readable) return "Failed";
  return settled ? "Applied" : "Applying";
}

}  // namespace wherry
