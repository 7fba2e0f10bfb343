#include <algorithm>

#include "agent/reconcile/lookup.h"
#include "agent/reconcile/plan.h"

namespace wherry {
namespace {

// A volume's image, of which the tag now names another.
bool shows_another_image(const WorkloadSpec& workload, const runtime::PodStatus& pod,
                         const std::map<std::string, std::string>& digests) {
  return std::any_of(
      workload.pod.volumes.begin(), workload.pod.volumes.end(), [&](const auto& volume) {
        if (volume.image.empty() || is_pinned(volume.image)) return false;
        const auto* shown = lookup(pod.volume_images, volume.name);
        const std::string* now = shown == nullptr ? nullptr : lookup(digests, shown->first);
        return now != nullptr && *now != shown->second;
      });
}

}  // namespace

bool is_pinned(const std::string& reference) { return reference.find('@') != std::string::npos; }

bool needs_replacement(const WorkloadSpec& workload, const runtime::PodStatus& pod,
                       const std::map<std::string, std::string>& digests) {
  if (pod.containers.empty()) return false;
  if (pod.hash != workload.pod.hash) return true;
  if (workload.claim == Claim::Once || workload.claim == Claim::Keep) return false;
  return std::any_of(workload.pod.containers.begin(), workload.pod.containers.end(),
                     [&](const auto& container) {
                       const runtime::ContainerStatus* status =
                           find_container(&pod, container.name);
                       if (status == nullptr || is_pinned(container.image)) return false;
                       const std::string* now = lookup(digests, status->image);
                       return now != nullptr && !status->image_digest.empty() &&
                              *now != status->image_digest;
                     }) ||
         shows_another_image(workload, pod, digests);
}

}  // namespace wherry
