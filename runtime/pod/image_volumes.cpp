#include "runtime/pod/image_volumes.h"

#include <set>

#include "base/digest.h"
#include "base/failpoint.h"
#include "runtime/volume/mount_point.h"

namespace wherry::runtime {
namespace {

constexpr const char* kRoot = "containerd.io/gc.root";
constexpr const char* kVolume = "wherry/volume";
constexpr const char* kImage = "wherry/image";
constexpr const char* kDigest = "wherry/image-digest";

}  // namespace

std::string ImageVolumes::key_of(const std::string& pod, const std::string& volume) const {
  return "wherry-volume-" +
         sha256_hex(identity_.instance + "\n" + pod + "\n" + volume).substr(0, 24);
}

Status ImageVolumes::prepare(const PodSpec& pod, const CancelToken& cancel) {
  for (const Volume& volume : pod.volumes) {
    if (volume.kind != Volume::Kind::Image) continue;
    if (Status ready = prepare_one(pod, volume, cancel); !ready) {
      return fail(ready.error(), "volume " + volume.name);
    }
  }
  return {};
}

Status ImageVolumes::prepare_one(const PodSpec& pod, const Volume& volume,
                                 const CancelToken& cancel) {
  const std::string path = volumes_.source_of(pod.name, volume);
  if (is_mount_point(path)) return {};
  const auto mounts = view(pod, volume, cancel);
  if (!mounts) return fail(mounts.error());
  if (Status ok = failpoint("volume.image.snapshot"); !ok) return ok;
  for (const Mount& mount : *mounts) {
    if (Status done = mount_read_only(mount.type, mount.source, mount.options, path); !done) {
      return done;
    }
  }
  return failpoint("volume.image.mounted");
}

Result<std::vector<Mount>> ImageVolumes::view(const PodSpec& pod, const Volume& volume,
                                              const CancelToken& cancel) {
  const auto image = images_.find(volume.image);
  if (!image) return fail(image.error());
  StringMap labels;
  labels[kRoot] = "wherry";
  labels[kVolume] = volume.name;
  labels[kImage] = image->image.name;
  labels[kDigest] = image->image.digest;
  identity_.own(labels, pod.name);
  Snapshots& snapshots = client_.snapshots();
  const std::string key = key_of(pod.name, volume.name);
  auto mounts = snapshots.view(key, image->chain_id, "", &cancel, labels);
  if (mounts || mounts.error().code() != Code::AlreadyExists) {
    const bool gone = !mounts && mounts.error().code() == Code::NotFound;
    if (!gone) return mounts;
    images_.forget(image->image.digest);
    return fail(mounts.error()
                    .wrap("image " + image->image.name + " is not unpacked")
                    .with_reason("ImageNotPresent"));
  }
  // Of before a crash or a reboot, and nobody has it mounted: the image may be another by now.
  if (Status removed = snapshots.remove(key); !removed) return fail(removed.error());
  return snapshots.view(key, image->chain_id, "", &cancel, labels);
}

Result<std::map<std::string, std::pair<std::string, std::string>>> ImageVolumes::shown(
    const PodSpec& pod) {
  std::map<std::string, std::pair<std::string, std::string>> images;
  for (const Volume& volume : pod.volumes) {
    if (volume.kind != Volume::Kind::Image) continue;
    const auto snapshot = client_.snapshots().stat(key_of(pod.name, volume.name));
    if (!snapshot) return fail(snapshot.error(), "snapshot of volume " + volume.name);
    const auto value = [&](const char* label) {
      const auto found = snapshot->labels.find(label);
      return found == snapshot->labels.end() ? std::string() : found->second;
    };
    images[volume.name] = {value(kImage), value(kDigest)};
  }
  return images;
}

Status ImageVolumes::remove(const std::string& pod) {
  const auto snapshots = client_.snapshots().list({identity_.filter(pod)});
  if (!snapshots) return fail(snapshots.error());
  for (const SnapshotInfo& each : *snapshots) {
    if (each.labels.count(kVolume) == 0) continue;
    if (Status removed = client_.snapshots().remove(each.name); !removed) return removed;
  }
  return {};
}

Result<std::vector<std::string>> ImageVolumes::list() {
  const auto snapshots = client_.snapshots().list({identity_.filter()});
  if (!snapshots) return fail(snapshots.error());
  std::set<std::string> pods;
  for (const SnapshotInfo& each : *snapshots) {
    if (each.labels.count(kVolume) != 0) pods.insert(Identity::pod_of(each.labels));
  }
  return std::vector<std::string>(pods.begin(), pods.end());
}

}  // namespace wherry::runtime
