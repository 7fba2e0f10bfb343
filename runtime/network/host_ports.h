#pragma once
// Host ports are given out by rules of the packet filter, which take precedence over a process that
// listens: so it is asked first whether one does.

#include <vector>

#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

// FailedPrecondition with reason HostPortConflict, naming the first port that a process of the
// host has bound.
Status check_host_ports(const std::vector<PortMapping>& ports);

}  // namespace wherry::runtime
