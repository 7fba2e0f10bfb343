#pragma once
// What the daemon consists of, and which of it could not begin.

#include <string>
#include <vector>

#include "runtime/containerd/client.h"

namespace wherry::runtime {

struct Plugin {
  std::string type;     // io.containerd.snapshotter.v1
  std::string id;       // overlayfs
  std::string trouble;  // why it did not begin; empty where it did
};
inline constexpr const char* kSnapshotterPlugin = "io.containerd.snapshotter.v1";

Result<std::vector<Plugin>> list_plugins(Client& client, Duration timeout);

}  // namespace wherry::runtime
