#pragma once
// Images out of archives: OCI layouts (tar or directory) and what "docker save" writes, also with
// several images in one.

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/image/space.h"
#include "runtime/image/store.h"

namespace wherry::runtime {

struct ImportedImage {
  std::string name;
  ImageLayout layout;
};

// Thread-safe.
class Importer {
 public:
  // Leases are called `lease_prefix` and something random. `space`: null where everything fits;
  // must outlive it.
  Importer(ImageBackend& backend, std::string snapshotter, Platform platform,
           std::string lease_prefix, SpaceCheck* space = nullptr);

  // Names come from the annotations io.containerd.image.name and org.opencontainers.image.ref.name
  // or from RepoTags. What has no name is called after the file: /x/pump.tar.gz becomes
  // docker.io/library/pump:latest, and a name that is a bare tag becomes pump:<tag>.
  // Every blob is checked against its digest and size. All images of the archive are recorded, with
  // `labels`, or none. Errors: NotFound (file, platform), InvalidArgument (not an image archive),
  // ResourceExhausted with InsufficientStorage, DataLoss (truncated, digest or size wrong),
  // Cancelled, and those of the backend.
  Result<std::vector<ImportedImage>> import(const std::string& path, const StringMap& labels,
                                            const CancelToken& cancel);

 private:
  ImageBackend& backend_;
  const std::string snapshotter_;
  const Platform platform_;
  const std::string lease_prefix_;
  SpaceCheck* const space_;
  Gate chains_;
};

// "/x/Pump.tar.gz" -> "pump": a valid repository name, whatever the file is called.
std::string image_stem(const std::string& path);

}  // namespace wherry::runtime
