#pragma once
// Images out of archives: OCI layouts (tar or directory) and what "docker save" writes, also with
// several images in one.

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/image/pull_leases.h"
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
  // `space`: null where everything fits. `names`: as Puller::names(); null where nobody else
  // changes records. All must outlive it.
  Importer(ImageBackend& backend, std::string snapshotter, Platform platform, PullLeases& leases,
           SpaceCheck* space = nullptr, Gate* names = nullptr);

  // Names come from the annotations io.containerd.image.name and org.opencontainers.image.ref.name
  // or from RepoTags. What has no name is called after the file: /x/pump.tar.gz becomes
  // docker.io/library/pump:latest, and a name that is a bare tag becomes pump:<tag>.
  // Every blob is checked against its digest and size. All images of the archive are recorded, with
  // `labels`, or none: after a failure the records are as they were. Where containerd is lost or
  // the agent ends in the middle of recording, those made by then stay; each is of a whole image.
  // Errors: NotFound (file, platform), InvalidArgument (not an image archive),
  // ResourceExhausted with InsufficientStorage, DataLoss (truncated, digest or size wrong),
  // Cancelled, and those of the backend.
  Result<std::vector<ImportedImage>> import(const std::string& path, const StringMap& labels,
                                            const CancelToken& cancel);

 private:
  ImageBackend& backend_;
  const std::string snapshotter_;
  const Platform platform_;
  PullLeases& leases_;
  SpaceCheck* const space_;
  Gate layers_;
  Gate chains_;
  Gate own_names_;
  Gate& names_;
};

}  // namespace wherry::runtime
