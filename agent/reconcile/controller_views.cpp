// How the objects that own Pods are shown.

#include <algorithm>

#include "agent/reconcile/controller_desk.h"
#include "agent/reconcile/order.h"

namespace wherry {
namespace {

ControllerView head(const ControllerSpec& controller, OwnerKind kind, const std::string& name) {
  ControllerView view;
  view.kind = to_string(kind);
  view.name = name;
  view.source = controller.source;
  view.revision = controller.revision;
  return view;
}

void describe_replicas(ControllerView& view, const ReplicaPlan& plan) {
  view.wanted = plan.pods.size();
  view.ready = plan.available + plan.old_ready;
  view.updated = plan.updated;
  if (plan.available + plan.stopped == view.wanted) {
    view.phase = "Available";
    if (plan.stopped == 0) return;
    view.reason = kStoppedReason;
    view.message = std::to_string(plan.stopped) + " of " + std::to_string(view.wanted) +
                   " Pods are stopped by hand; wherry start starts them";
    return;
  }
  view.phase = "Progressing";
  view.reason = plan.old > 0 ? "RollingUpdate" : "PodsNotReady";
  view.message = std::to_string(view.updated) + " of " + std::to_string(view.wanted) +
                 " Pods are of the wanted version, " + std::to_string(view.ready) + " are ready";
}

}  // namespace

ControllerView ControllerDesk::view_of(const ControllerSpec& controller) const {
  ControllerView view = head(controller, controller.owner.kind, controller.owner.name);
  const auto replicas = replicas_.find({controller.owner.kind, controller.owner.name});
  if (replicas != replicas_.end()) {
    describe_replicas(view, replicas->second);
    return view;
  }
  view.schedule = controller.cron.schedule;
  view.time_zone = controller.cron.time_zone;
  for (const auto& [name, run] : runs_) {
    view.active += run.cron_job == view.name && !run.finished() ? 1 : 0;
  }
  const auto record = crons_.find(view.name);
  if (record != crons_.end()) view.last = record->second.started;
  view.phase = view.active > 0 ? "Active" : "Scheduled";
  const auto known = schedules_.find(view.name);
  if (known == schedules_.end()) return view;
  view.reason = known->second.reason;
  view.message = known->second.message;
  view.next = known->second.next.value_or(WallTime{});
  if (controller.cron.suspend) view.phase = "Suspended";
  if (view.reason == "ClockNotSynchronised") view.phase = "Waiting";
  return view;
}

ControllerView ControllerDesk::view_of(const ControllerSpec& controller, const JobRun& run) const {
  ControllerView view = head(controller, OwnerKind::Job, run.name);
  if (!run.cron_job.empty()) view.owner = "CronJob/" + run.cron_job;
  view.wanted = static_cast<size_t>(controller.job.completions.value_or(1));
  view.succeeded = run.succeeded.size();
  view.failed = run.failed;
  const auto active = active_.find(run.name);
  view.active = active == active_.end() ? 0 : active->second;
  view.started_at = run.started_at;
  view.finished_at = run.finished_at;
  view.reason = run.reason;
  view.message = run.message;
  view.phase = run.phase == JobRun::Phase::Complete ? "Complete"
               : run.phase == JobRun::Phase::Failed ? "Failed"
               : run.suspended                      ? "Suspended"
                                                    : "Active";
  return view;
}

std::vector<ControllerView> ControllerDesk::views(const std::vector<ControllerView>& before,
                                                  WallTime now) const {
  std::vector<ControllerView> all;
  for (const auto& [key, controller] : controllers_) {
    if (key.first != OwnerKind::Job) {
      all.push_back(view_of(controller));
    } else if (!runs_.contains(key.second)) {
      all.push_back(head(controller, OwnerKind::Job, key.second));
      all.back().phase = "Waiting";
      all.back().reason = "StoreFailed";
      all.back().message = "its beginning cannot be stored yet, see the condition StoreReady";
    }
  }
  for (const auto& [name, run] : runs_) {
    const ControllerSpec* controller = controller_of(run);
    if (controller != nullptr) all.push_back(view_of(*controller, run));
  }
  std::sort(all.begin(), all.end(), [](const ControllerView& a, const ControllerView& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  for (ControllerView& view : all) {
    const auto old = std::find_if(before.begin(), before.end(), [&](const ControllerView& each) {
      return each.kind == view.kind && each.name == view.name;
    });
    const bool same = old != before.end() && old->phase == view.phase && old->reason == view.reason;
    view.since = same ? old->since : now;
    if (view.finished_at != WallTime{}) view.since = view.finished_at;
  }
  return all;
}

}  // namespace wherry
