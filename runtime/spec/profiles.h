#pragma once
// seccomp and AppArmor of a container.

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "runtime/spec/oci_spec.h"

namespace wherry::runtime {

// linux.seccomp, or null where there is none: Unset, Unconfined, and privileged containers, as in
// Kubernetes. `capabilities` are the container's, with CAP_. InvalidArgument with reason
// CreateContainerConfigError where the kernel has no seccomp, or the file is missing or no profile.
Result<nlohmann::json> seccomp_of(const SecurityContext& security,
                                  const std::vector<std::string>& capabilities,
                                  const HostFacts& host, const std::string& profiles_dir);

// process.apparmorProfile, or "". InvalidArgument, as above, where the kernel has no AppArmor or no
// such profile is loaded.
Result<std::string> apparmor_of(const SecurityContext& security, const HostFacts& host);

}  // namespace wherry::runtime
