#pragma once
// The filesystem that a layer is unpacked onto. Internal to runtime/containerd.

#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "runtime/containerd/client.h"

namespace wherry::runtime {

class LayerDisk {
 public:
  // Of the snapshot with these mounts; before anything is written, so that no failure to write goes
  // unnoticed.
  explicit LayerDisk(const std::vector<Mount>& mounts);

  // Returns when all that was written is on the disk. Without a directory of its own on this
  // machine (snapshotters that mount a device) all filesystems are synced. ResourceExhausted where
  // the disk turns out to be full only now, DataLoss where it cannot be written.
  Status sync() const;

 private:
  Fd directory_;
};

}  // namespace wherry::runtime
