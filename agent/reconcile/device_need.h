#pragma once
// What is said of devices that Pods wait for or have lost. Pure. See
// docs/decisions/0017-devices.md.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"

namespace wherry {

inline constexpr const char* kWaitingForDevice = "WaitingForDevice";
inline constexpr const char* kDeviceNotConfigured = "DeviceNotConfigured";
inline constexpr const char* kInsufficientDevices = "InsufficientDevices";
inline constexpr const char* kInsufficientPages = "InsufficientHugePages";

struct DeviceWait {
  std::string reason, message;
};

// Of the units that a Pod's living containers have, by resource: those that are still there, and
// those that are not.
struct HeldUnits {
  std::map<std::string, int64_t> there, gone;
};
HeldUnits held_units(const runtime::PodStatus& pod, const runtime::DeviceInventory* inventory);

// Why nobody could have so much of a resource now, whoever has what of it; nothing where one could.
std::optional<DeviceWait> absent(const runtime::DeviceInventory* inventory,
                                 const std::string& resource, int64_t amount);

// Why containers of a Pod that may be started otherwise have to wait: the device of one that ran
// before is gone, a CDI device is not described.
std::optional<DeviceWait> wait_for_devices(const PlanInput& input, const WorkloadSpec& spec,
                                           const std::vector<ContainerStart>& due);

// Of devices that went, or were taken out of the configuration, while containers had them.
std::optional<DeviceWait> lost_devices(const runtime::PodStatus& pod,
                                       const runtime::DeviceInventory* inventory);

bool wants_devices(const runtime::PodSpec& pod);
// Somebody waits for this reason, which may be over when the devices are others.
bool is_about_devices(const std::string& reason);

}  // namespace wherry
