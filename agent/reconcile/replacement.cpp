#include <algorithm>

#include "agent/reconcile/lookup.h"
#include "agent/reconcile/plan.h"
#include "agent/reconcile/wanted_image.h"

namespace wherry {
namespace {

using runtime::PodStatus;
using runtime::PullPolicy;
using Digests = std::map<std::string, std::string>;

// Of the image that a reference leads to; "" where the store has none. Mostly it is written in
// full.
std::string digest_of(const std::string& reference, const Digests& digests) {
  if (const std::string* known = lookup(digests, reference)) return *known;
  const WantedImage image(reference);
  if (!image.digest().empty()) return image.digest();
  const std::string* known = lookup(digests, image.name());
  return known == nullptr ? "" : *known;
}

bool leads_elsewhere(const std::string& reference, const std::string& digest,
                     const Digests& digests) {
  if (is_pinned(reference) || digest.empty()) return false;
  const std::string now = digest_of(reference, digests);
  return !now.empty() && now != digest;
}

// A volume's image, of which the tag now names another.
bool shows_another_image(const WorkloadSpec& workload, const PodStatus& pod,
                         const Digests& digests) {
  return std::any_of(
      workload.pod.volumes.begin(), workload.pod.volumes.end(), [&](const auto& volume) {
        const auto* shown = volume.image.empty() ? nullptr : lookup(pod.volume_images, volume.name);
        return shown != nullptr && leads_elsewhere(volume.image, shown->second, digests);
      });
}

struct ImageUsed {
  std::string reference;  // of the version before
  std::string digest;     // what was made of it; "" where nothing was
};

class SameImageTest {
 public:
  SameImageTest(const Digests& digests, const std::set<std::string>& asked)
      : digests_(digests), asked_(asked) {}

  bool operator()(const std::string& wanted, PullPolicy policy, const ImageUsed& used) const {
    // What a tag leads to by now is for needs_replacement().
    if (WantedImage(wanted).name() == WantedImage(used.reference).name()) return true;
    if (policy == PullPolicy::Always && !is_pinned(wanted) && !asked_.contains(wanted))
      return false;
    return !used.digest.empty() && digest_of(wanted, digests_) == used.digest;
  }

 private:
  const Digests& digests_;
  const std::set<std::string>& asked_;
};

}  // namespace

bool is_pinned(const std::string& reference) { return reference.find('@') != std::string::npos; }

bool needs_replacement(const WorkloadSpec& workload, const PodStatus& pod, const Digests& digests) {
  if (pod.containers.empty()) return false;
  if (pod.hash != workload.pod.hash) return true;
  if (workload.claim == Claim::Once || workload.claim == Claim::Keep) return false;
  const auto& containers = workload.pod.containers;
  return std::any_of(containers.begin(), containers.end(),
                     [&](const auto& container) {
                       const auto* status = find_container(&pod, container.name);
                       return status != nullptr &&
                              leads_elsewhere(container.image, status->image_digest, digests);
                     }) ||
         shows_another_image(workload, pod, digests);
}

bool runs_already(const WorkloadSpec& wanted, const WorkloadSpec& before, const PodStatus& pod,
                  const Digests& digests, const std::set<std::string>& asked) {
  const SameImageTest same(digests, asked);
  for (const runtime::ContainerSpec& container : wanted.pod.containers) {
    const runtime::ContainerSpec* old = find_spec(before, container.name);
    const runtime::ContainerStatus* status = find_container(&pod, container.name);
    if (old == nullptr) return false;
    const std::string digest = status == nullptr ? "" : status->image_digest;
    if (!same(container.image, container.pull_policy, {old->image, digest})) return false;
  }
  for (const runtime::Volume& volume : wanted.pod.volumes) {
    if (volume.image.empty()) continue;
    const auto old =
        std::find_if(before.pod.volumes.begin(), before.pod.volumes.end(),
                     [&](const runtime::Volume& each) { return each.name == volume.name; });
    if (old == before.pod.volumes.end()) return false;
    const auto* shown = lookup(pod.volume_images, volume.name);
    const std::string digest = shown == nullptr ? "" : shown->second;
    if (!same(volume.image, volume.pull_policy, {old->image, digest})) return false;
  }
  return differ_in_images_only(wanted, before);
}

}  // namespace wherry
