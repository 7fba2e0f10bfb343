#include "agent/reconcile/actions.h"

#include <algorithm>
#include <csignal>
#include <optional>

#include "base/failpoint.h"

namespace wherry {
namespace {

using runtime::ContainerSpec;

void check_images(ActionResult& result, runtime::Images& images) {
  for (const runtime::ImageNeed& need : images_of(result.action.spec->pod)) {
    const auto image = images.find(need.reference);
    if (image) {
      result.digests[image->name] = image->digest;
      continue;
    }
    if (image.error().code() == Code::NotFound) {
      result.missing.insert(need.reference);
    } else if (result.status) {
      result.status = fail(image.error(), "image " + need.reference);
    }
  }
}

const runtime::PodSpec& labelled(const Action& action, std::optional<runtime::PodSpec>& copy) {
  if (action.label_hash.empty()) return action.spec->pod;
  copy = action.spec->pod;
  copy->hash = action.label_hash;
  return *copy;
}

void update_files(ActionResult& result, runtime::Runtime& runtime, const CancelToken& cancel) {
  if (result.status = failpoint("reconcile.before-update"); !result.status) return;
  std::optional<runtime::PodSpec> copy;
  const auto prepared = runtime.prepare_pod(labelled(result.action, copy), cancel);
  if (!prepared) result.status = fail(prepared.error());
}

void start(ActionResult& result, runtime::Runtime& runtime, const CancelToken& cancel) {
  std::optional<runtime::PodSpec> copy;
  const runtime::PodSpec& pod = labelled(result.action, copy);
  if (result.status = failpoint("reconcile.before-prepare"); !result.status) return;
  auto ip = runtime.prepare_pod(pod, cancel);
  if (!ip) {
    result.status = fail(ip.error());
    return;
  }
  result.ip = std::move(*ip);
  for (const ContainerStart& wanted : result.action.starts) {
    const auto spec =
        std::find_if(pod.containers.begin(), pod.containers.end(),
                     [&](const ContainerSpec& container) { return container.name == wanted.name; });
    if (spec == pod.containers.end()) continue;
    if (result.status = failpoint("reconcile.before-start"); !result.status) return;
    auto started = runtime.start_container(pod, *spec, wanted.attempt, cancel);
    if (started) {
      result.started.push_back(std::move(*started));
    } else {
      result.not_started.emplace(wanted.name, started.error());
    }
    if (result.status = failpoint("reconcile.after-start"); !result.status) return;
  }
}

void resize(ActionResult& result, runtime::Resizer* resizer) {
  if (result.status = failpoint("reconcile.before-resize"); !result.status) return;
  const runtime::PodSpec& pod = result.action.spec->pod;
  for (size_t i = 0; resizer != nullptr && i < result.action.container_ids.size(); ++i) {
    const auto spec = std::find_if(
        pod.containers.begin(), pod.containers.end(),
        [&](const ContainerSpec& each) { return each.name == result.action.starts[i].name; });
    if (spec == pod.containers.end()) continue;
    const Status resized = resizer->resize(pod, *spec, result.action.container_ids[i]);
    if (resized) {
      result.resized.push_back(spec->name);
    } else if (result.status) {
      result.status = fail(resized.error(), "container " + spec->name);
    }
  }
}

void signal(ActionResult& result, runtime::Runtime& runtime, int number) {
  if (result.status = failpoint("reconcile.before-terminate"); !result.status) return;
  for (const std::string& id : result.action.container_ids) {
    const Status sent = runtime.signal_container(id, number);
    if (!sent && sent.error().code() != Code::NotFound && result.status) result.status = sent;
  }
}

void remove(ActionResult& result, runtime::Runtime& runtime) {
  if (result.status = failpoint("reconcile.before-remove"); !result.status) return;
  for (const std::string& id : result.action.container_ids) {
    const Status removed = runtime.remove_container(id);
    if (!removed && result.status) result.status = removed;
  }
  if (result.action.whole_pod && result.status) {
    result.status = runtime.remove_pod(result.action.workload);
  }
  if (result.status) result.status = failpoint("reconcile.after-remove");
}

}  // namespace

ActionResult carry_out(const Action& action, runtime::Runtime& runtime, runtime::Images& images,
                       const CancelToken& cancel, runtime::Resizer* resizer) {
  ActionResult result;
  result.action = action;
  if (cancel.cancelled()) {
    result.status = fail(Code::Cancelled, "no longer wanted");
    return result;
  }
  switch (action.kind) {
    case ActionKind::CheckImages:
      check_images(result, images);
      break;
    case ActionKind::UpdateFiles:
      update_files(result, runtime, cancel);
      break;
    case ActionKind::Resize:
      resize(result, resizer);
      break;
    case ActionKind::Start:
      start(result, runtime, cancel);
      break;
    case ActionKind::Terminate:
      signal(result, runtime, SIGTERM);
      break;
    case ActionKind::Kill:
      signal(result, runtime, SIGKILL);
      break;
    case ActionKind::Remove:
      remove(result, runtime);
      break;
  }
  return result;
}

}  // namespace wherry
