#pragma once
// What Services were told last, as a file in the directory of the run, so that a new agent knows
// what an earlier one did. Not synced: the rules do not survive a power cut either.

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/services.h"

namespace wherry::runtime {

Status write_applied(const std::string& path, const std::vector<ServiceRules>& services);
// NotFound; DataLoss for what write_applied() did not write.
Result<std::vector<ServiceRules>> read_applied(const std::string& path);

}  // namespace wherry::runtime
