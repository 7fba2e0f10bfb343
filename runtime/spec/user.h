#pragma once
// Who the first process runs as: Kubernetes' securityContext over the image's USER.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/spec/oci_spec.h"
#include "runtime/types.h"

namespace wherry::runtime {

struct ProcessUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> additional_gids;  // sorted, without repeats
};

// Looks names up in <rootfs>/etc/passwd and group; links in them cannot lead out of `rootfs`.
// InvalidArgument with reason CreateContainerConfigError for an unknown name, for a name without a
// rootfs, and for root where run_as_non_root is set.
Result<ProcessUser> resolve_user(const SecurityContext& security, const std::string& image_user,
                                 const std::string& rootfs);

}  // namespace wherry::runtime
