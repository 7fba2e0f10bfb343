#pragma once
// What is mounted on a directory of the host.

#include <string>
#include <vector>

#include "base/result.h"

namespace wherry::runtime {

// Also for a bind of the same file system.
bool is_mount_point(const std::string& path);

// A file system as a snapshotter describes it: "overlay" or "bind", with options as mount(8) takes
// them. Read-only whatever they say. FailedPrecondition where they are too long for the kernel.
Status mount_read_only(const std::string& type, const std::string& source,
                       const std::vector<std::string>& options, const std::string& target);

}  // namespace wherry::runtime
