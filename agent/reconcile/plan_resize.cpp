#include "agent/reconcile/plan_resize.h"

namespace wherry {

void plan_resize(const ResizeInput& about, Verdict& verdict) {
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

}  // namespace wherry
