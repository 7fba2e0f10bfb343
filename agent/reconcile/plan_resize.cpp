#include "agent/reconcile/plan_resize.h"

#include "agent/reconcile/wake.h"

namespace wherry {

void plan_resize(const RunningPod& about, Verdict& verdict) {
  if (verdict.action) return;
  const auto resized = resized_containers(about.spec->pod, about.pod);
  if (resized.empty()) return;
  const Trouble& trouble = about.memory.resize;
  const bool full = about.room != nullptr && !about.room->now;
  if (full || trouble.waits(about.input.now)) {
    const bool sooner = !verdict.wake_at || trouble.not_before < *verdict.wake_at;
    if (!full && sooner) verdict.wake_at = trouble.not_before;
    if (!verdict.reason.empty()) return;
    verdict.reason = full ? about.room->reason : trouble.reason;
    verdict.message =
        "it runs with its former cpu and memory: " + (full ? about.room->message : trouble.message);
    return;
  }
  Action& action = verdict.action.emplace();
  action.kind = ActionKind::Resize;
  action.workload = about.pod.name;
  action.spec = about.spec;
  for (const runtime::ContainerStatus* container : resized) {
    action.container_ids.push_back(container->id);
    action.starts.push_back({container->name, container->attempt});
  }
}

void plan_file_update(const RunningPod& about, Verdict& verdict) {
  const Trouble& trouble = about.memory.files;
  if (verdict.action || about.spec->pod.files_hash == about.memory.files_hash) return;
  if (!about.pod.network_ready) return;
  if (!trouble.waits(about.input.now)) {
    Action& action = verdict.action.emplace();
    action.kind = ActionKind::UpdateFiles;
    action.workload = about.pod.name;
    action.spec = about.spec;
    return;
  }
  earlier(verdict.wake_at, trouble.not_before);
  if (!verdict.reason.empty()) return;
  verdict.reason = "VolumeUpdateFailed";
  verdict.message = "its volumes show older content: " + trouble.message;
}

}  // namespace wherry
