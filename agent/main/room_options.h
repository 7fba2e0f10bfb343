#pragma once
// The configuration as each room wants to hear it.

#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/fleet/fleet_link.h"
#include "runtime/device/host_devices.h"
#include "runtime/network/network.h"
#include "runtime/spec/oci_spec.h"

namespace wherry {

// Empty for the agent of the default place; others on the same machine get a name of their own, so
// that their bridges, cgroups and containers do not meet.
std::string instance_of(const Config& config);
runtime::NetworkOptions network_options(const Config& config, const std::string& instance);
// Of documents, in the order in which a later one replaces items of an earlier one.
std::vector<std::string> sources_of(const Config& config);
// What this machine can do; the log says what it cannot.
runtime::HostFacts host_facts();
runtime::DeviceOptions device_options(const Config& config);
std::string hostname();
FleetOptions fleet_options(const Config& config, const std::string& boot);

}  // namespace wherry
