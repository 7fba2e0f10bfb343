#pragma once
// securityContext.fsGroup: a group that owns what is in a volume.

#include <cstdint>
#include <string>

#include "base/result.h"

namespace wherry::runtime {

// `path`, a directory, and all below it belong to `group`, which may read and write it, and what is
// made there later does too (set-group-ID). Follows no links and enters no mounts. `if_needed`:
// nothing where `path` itself is so already.
Status give_to_group(const std::string& path, int64_t group, bool if_needed);

}  // namespace wherry::runtime
