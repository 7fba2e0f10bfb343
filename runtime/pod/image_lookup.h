#pragma once
// From an image reference to what a start needs, with as little asking as possible.

#include <map>
#include <mutex>
#include <string>

#include "base/cancel.h"
#include "runtime/containerd/client.h"
#include "runtime/spec/oci_spec.h"
#include "runtime/types.h"

namespace wherry::runtime {

struct RunnableImage {
  Image image;
  ImageConfig config;
  std::string chain_id;    // of the topmost layer: the parent of a container's snapshot
  std::string artifact{};  // what it is where no container can be made of it; else empty
};

// Thread-safe. Remembers what an image digest means (it never means anything else), not what a name
// points to.
class ImageLookup {
 public:
  // `cache_dir`: in the run directory, for passwd and group files of images.
  ImageLookup(Client& client, ImageBackend& backend, std::string cache_dir);

  // One call to containerd once the digest is known. NotFound with reason ImageNotPresent,
  // InvalidArgument with reason InvalidImageName.
  Result<RunnableImage> find(const std::string& reference);
  // A directory with etc/passwd and etc/group as the image has them, for user names.
  // FailedPrecondition where the snapshotter's mounts cannot be read directly.
  Result<std::string> users_of(const RunnableImage& image, const CancelToken& cancel);
  // The snapshot of that image was not there: look again next time.
  void forget(const std::string& digest);
  void clear_cache_dir();

 private:
  Result<ImageRecord> find_record(const std::string& reference);
  Result<RunnableImage> read(const ImageRecord& record);

  Client& client_;
  ImageBackend& backend_;
  const std::string cache_dir_;
  std::mutex mutex_;
  std::map<std::string, RunnableImage> by_digest_;
};

}  // namespace wherry::runtime
