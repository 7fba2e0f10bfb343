#pragma once
// What there is of ours, in one look: two calls to containerd and a few file reads.

#include <vector>

#include "runtime/pod/container_ops.h"

namespace wherry::runtime {

Result<std::vector<PodStatus>> observe_pods(PodContext& context);

}  // namespace wherry::runtime
