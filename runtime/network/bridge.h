#pragma once
// Network devices of the agent's own namespace, by rtnetlink(7). /sys is no substitute: it shows
// the namespace of whoever mounted it.

#include <string>

#include "base/result.h"

namespace wherry::runtime {

bool device_exists(const std::string& name);
// Deletes the bridge unless an interface is attached to it. Missing: success.
Status remove_unused_bridge(const std::string& name);

}  // namespace wherry::runtime
