#pragma once
// Volumes that show an image: a read-only snapshot of it, mounted on the volume's directory. The
// snapshot is labelled as a root of containerd's garbage collection, so the image's layers stay for
// as long as it is there, and by its labels it is found again after a crash at any step.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "runtime/pod/identity.h"
#include "runtime/pod/image_lookup.h"
#include "runtime/volume/volumes.h"

namespace wherry::runtime {

// All must outlive it. Calls for one Pod must not run at the same time.
class ImageVolumes {
 public:
  ImageVolumes(Client& client, ImageLookup& images, const Volumes& volumes,
               const Identity& identity)
      : client_(client), images_(images), volumes_(volumes), identity_(identity) {}

  // After Volumes::prepare(). What is mounted already stays as it is, whatever its tag names now.
  // NotFound with reason ImageNotPresent; FailedPrecondition for mounts that the host cannot make.
  Status prepare(const PodSpec& pod, const CancelToken& cancel);
  // Volume -> name and digest of the image it shows, of a Pod that was prepared.
  Result<std::map<std::string, std::pair<std::string, std::string>>> shown(const PodSpec& pod);
  // After Volumes::remove(). Success where there is nothing.
  Status remove(const std::string& pod);
  Result<std::vector<std::string>> list();  // Pods that have any

 private:
  std::string key_of(const std::string& pod, const std::string& volume) const;
  Status prepare_one(const PodSpec& pod, const Volume& volume, const CancelToken& cancel);
  Result<std::vector<Mount>> view(const PodSpec& pod, const Volume& volume,
                                  const CancelToken& cancel);

  Client& client_;
  ImageLookup& images_;
  const Volumes& volumes_;
  const Identity& identity_;
};

}  // namespace wherry::runtime
