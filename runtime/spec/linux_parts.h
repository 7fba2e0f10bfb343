#pragma once
// The fixed parts of a specification: what Docker and containerd give every container.

#include <nlohmann/json_fwd.hpp>

#include "runtime/spec/oci_spec.h"

namespace wherry::runtime {

// File systems the kernel provides (config.md#mounts), then `binds`. A bind to the same place
// replaces the default. Ordered so that parents are mounted before what lies below them.
nlohmann::json container_mounts(const std::vector<BindMount>& binds, bool privileged);

// linux.rootfsPropagation: without it the runtime cuts mounts off from the host's. Null: its
// default.
const char* rootfs_propagation(const std::vector<BindMount>& binds);

// linux.devices: every device node below `dev_dir`, for privileged containers. Terminals,
// shared memory and queues are left out, the container has its own.
nlohmann::json host_devices(const std::string& dev_dir);

inline constexpr int64_t kCpuPeriod = 100'000;  // microseconds, the kernel's default

nlohmann::json masked_paths();
nlohmann::json read_only_paths();

// linux.resources: device rules and limits. Where a limit is 0 the kernel's default stays.
nlohmann::json linux_resources(const Resources& wanted, bool privileged, const HostFacts& host);

}  // namespace wherry::runtime
