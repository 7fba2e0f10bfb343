#pragma once
// What the device is: read once at start from the kernel and os-release.

#include "agent/config/config.h"
#include "agent/reconcile/state_view.h"

namespace wherry {

// Kubernetes' architecture names: amd64, arm64, arm.
DeviceView read_device(const Config& config, const std::string& agent_version);

// Size of the filesystem that a directory is on; 0 where it cannot be told.
int64_t disk_bytes(const std::string& directory);

}  // namespace wherry
