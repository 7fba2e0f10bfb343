#pragma once
// A part of a volume for one container. What is in a volume is the workload's: a link in it must
// never lead to what is not in the volume, not even when it is put there at the last moment.

#include <string>

#include "base/result.h"

namespace wherry::runtime {

// Binds what lies at `sub_path` (relative, without "..") below `root` on `target`, which is made.
// What is missing becomes a directory with the mode of `root`, where `may_create`. Whatever was
// mounted on `target` before is not any more. Links are followed within `root`; FailedPrecondition
// with reason CreateContainerConfigError where one leads out of it or where nothing is there.
Status bind_sub_path(const std::string& root, const std::string& sub_path, bool may_create,
                     const std::string& target);

}  // namespace wherry::runtime
