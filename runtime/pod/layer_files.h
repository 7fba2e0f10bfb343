#pragma once
// Reading small files out of an unpacked image without mounting it.

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/containerd/client.h"

namespace wherry::runtime {

// The directories that lie on top of one another, topmost first: of an overlay its lower ones, of a
// bind mount its source. FailedPrecondition for other mounts (block devices).
Result<std::vector<std::string>> layer_directories(const std::vector<Mount>& mounts);

// `path` without a leading slash, as the layers together show it; empty where there is no such
// file. Links are followed within a layer and never out of it. At most 1 MiB.
std::string read_from_layers(const std::vector<std::string>& directories, const std::string& path);

}  // namespace wherry::runtime
