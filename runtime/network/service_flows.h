#pragma once
// Connection tracking of UDP, where a flow has no end that anybody says: while a client goes on
// sending from one port its packets go where the first one went, ready or not.

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/services.h"

namespace wherry::runtime {

// Forgets flows to an address of `subnet`, or to a node port of `services`, that lead to no
// endpoint of that port any more: their next packet is led anew. Costs a look at all flows of the
// device (ctnetlink, nfnetlink_conntrack.h).
Status end_stale_flows(const std::vector<ServiceRules>& services, const std::string& subnet,
                       const std::string& device_ip);

}  // namespace wherry::runtime
