#include "runtime/runtime.h"

namespace wherry::runtime {

std::vector<ImageNeed> images_of(const PodSpec& pod) {
  std::vector<ImageNeed> needs;
  for (const ContainerSpec& container : pod.containers) {
    needs.push_back({container.image, container.pull_policy});
  }
  for (const Volume& volume : pod.volumes) {
    if (volume.kind == Volume::Kind::Image) needs.push_back({volume.image, volume.pull_policy});
  }
  return needs;
}

}  // namespace wherry::runtime
