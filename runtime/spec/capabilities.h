#pragma once
// Linux capabilities of a container (capabilities(7)).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

// The bit of a name such as "NET_ADMIN" (the CAP_ prefix and lower case are accepted too), or -1.
int capability_bit(std::string_view name);

// The names a container gets, each with its CAP_ prefix, in the order of their bits: Docker's
// default set, everything when privileged, after `capabilities_add` and `capabilities_drop` as
// Kubernetes applies them. What is not in `grantable` is left out: runc would fail over it.
// InvalidArgument for a name that is no capability.
Result<std::vector<std::string>> container_capabilities(const SecurityContext& security,
                                                        uint64_t grantable);

}  // namespace wherry::runtime
