#include "agent/manifest/merge_claims.h"

#include <algorithm>

#include "agent/manifest/node_selector.h"

namespace wherry::manifest {

std::string ClaimBook::take(const PodItem& pod, const std::string& name, const VolumeItem& item) {
  const runtime::Volume& volume = pod.workload.pod.volumes.at(item.index);
  // Of a Job's template: it is named with each Pod that is made of it.
  if (volume.owned && volume.claim.find('\x01') != std::string::npos) return {};
  const auto known = objects_.claims.find(volume.claim);
  if (volume.owned && known != objects_.claims.end()) {
    return "would make claim \"" + shown(volume.claim) +
           "\", and a document has one of that name: rename one of them";
  }
  const bool one_pod = known != objects_.claims.end() && known->second->one_pod;
  if (!one_pod && !volume.owned) return {};
  std::vector<const PodItem*>& users = users_[volume.claim];
  const auto taken = std::find_if(users.begin(), users.end(), [&](const PodItem* other) {
    return other != &pod && may_meet(*other, pod);
  });
  if (taken == users.end()) {
    users.push_back(&pod);
    return {};
  }
  const std::string& other = (*taken)->workload.name();
  if (volume.owned) {
    return "would make claim \"" + shown(volume.claim) + "\", as a volume of \"" + shown(other) +
           "\" does: rename one of them";
  }
  return "claim \"" + shown(volume.claim) + "\" is ReadWriteOncePod and used by " + other +
         " already: give " + name + " its own";
}

}  // namespace wherry::manifest
