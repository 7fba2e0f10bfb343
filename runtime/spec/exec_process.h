#pragma once
// A further process of a container.

#include <string>
#include <vector>

#include "base/result.h"

namespace wherry::runtime {

// The "process" of a container's OCI specification with another command: same user, environment,
// directory, capabilities and limits. InvalidArgument where `spec_json` has none.
Result<std::string> exec_process(const std::string& spec_json,
                                 const std::vector<std::string>& argv);

}  // namespace wherry::runtime
