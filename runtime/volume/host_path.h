#pragma once
// hostPath volumes: a path of the host as it is (Kubernetes API, HostPathVolumeSource).

#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

// Checks the path against its type and creates it where the type says so. FailedPrecondition with
// reason CreateContainerConfigError where it is something else; InvalidArgument where it is not
// absolute.
Status prepare_host_path(const Volume& volume);

}  // namespace wherry::runtime
