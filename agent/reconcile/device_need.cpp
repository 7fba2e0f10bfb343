#include "agent/reconcile/device_need.h"

#include <algorithm>

#include "base/quantity.h"
#include "base/text.h"

namespace wherry {
namespace {

using runtime::ContainerState;
using runtime::ContainerStatus;
using runtime::DeviceInventory;
using runtime::DeviceStock;

bool is_alive(const ContainerStatus& container) {
  return !container.before_boot && container.state != ContainerState::Exited;
}

const DeviceStock* stock_of(const DeviceInventory* inventory, const std::string& resource) {
  if (inventory == nullptr) return nullptr;
  const auto found = inventory->resources.find(resource);
  return found == inventory->resources.end() ? nullptr : &found->second;
}

bool is_there(const runtime::HeldDevice& device, const DeviceInventory* inventory) {
  if (inventory == nullptr) return true;  // nobody has looked yet
  const DeviceStock* stock = stock_of(inventory, device.resource);
  if (stock == nullptr) return false;
  if (stock->units.contains(device.unit)) return true;
  // By another name now, as when udev makes its link only after a container has the node.
  return !device.number.empty() &&
         std::any_of(stock->units.begin(), stock->units.end(),
                     [&](const auto& unit) { return unit.second == device.number; });
}

DeviceWait not_configured(const DeviceInventory& inventory, const std::string& asks,
                          const std::string& resource) {
  std::vector<std::string_view> known;
  for (const auto& [name, stock] : inventory.resources) {
    if (!stock.looked_for.empty()) known.push_back(name);
  }
  const std::string near = nearest(resource, known);
  return {kDeviceNotConfigured, asks + ", and the device's configuration has nothing of that name" +
                                    (near.empty() ? "" : " (did you mean " + near + "?)") +
                                    ": add it to devices in wherry.yaml and reload wherryd"};
}

std::string first_error(const DeviceInventory& inventory) {
  return inventory.cdi_errors.empty() ? "" : "; " + inventory.cdi_errors.front();
}

// Why CDI devices that a file describes cannot be had.
std::string unusable(const DeviceInventory& inventory, const DeviceStock& stock) {
  std::string text;
  for (const auto& [name, why] : inventory.cdi) {
    const std::string kind = name.substr(0, name.find('='));
    if (!why.empty() && stock.looked_for.find(kind) != std::string::npos) {
      text += "; " + name + ": " + why;
    }
  }
  return text;
}

DeviceWait not_there(const DeviceInventory& inventory, const std::string& asks,
                     const DeviceStock& stock) {
  const bool cdi = !stock.looked_for.starts_with('/');
  const std::string where =
      cdi ? "a CDI device " + stock.looked_for + " in " + join(inventory.cdi_dirs, ", ")
          : "a device node at " + stock.looked_for;
  const std::string mend = cdi ? "install what writes its specification there" : "connect it";
  return {kWaitingForDevice, asks + ", and " + std::to_string(stock.total) +
                                 " are there: it waits for " + where + "; " + mend +
                                 ", or correct devices in wherry.yaml" +
                                 (cdi ? unusable(inventory, stock) + first_error(inventory) : "")};
}

std::string asks_for(const std::string& resource, int64_t amount) {
  const bool pages = runtime::huge_page_of(resource).has_value();
  return "it asks for " + (pages ? format_bytes(amount) : std::to_string(amount)) + " of " +
         resource;
}

// Units of a resource that living containers have and that are there. What a start of `workload`
// that came to nothing has left of those that are `due` goes with the next one.
int64_t used_units(const PlanInput& input, const std::string& resource, const std::string& workload,
                   const std::vector<ContainerStart>& due) {
  int64_t used = 0;
  for (const auto& [name, pod] : input.observed) {
    runtime::PodStatus others = pod;
    if (name == workload) {
      std::erase_if(others.containers, [&](const ContainerStatus& container) {
        return std::any_of(due.begin(), due.end(), [&](const ContainerStart& start) {
          return start.name == container.name;
        });
      });
    }
    const HeldUnits units = held_units(others, input.devices.get());
    const auto found = units.there.find(resource);
    if (found != units.there.end()) used += found->second;
  }
  return used;
}

std::optional<DeviceWait> missing_cdi(const DeviceInventory& inventory,
                                      const runtime::PodSpec& pod) {
  for (const std::string& name : pod.cdi_devices) {
    const auto known = inventory.cdi.find(name);
    if (known != inventory.cdi.end() && known->second.empty()) continue;
    const std::string dirs = join(inventory.cdi_dirs, ", ");
    const std::string why = known == inventory.cdi.end()
                                ? "no file in " + dirs + " describes it: install what writes one"
                                : known->second;
    return DeviceWait{kWaitingForDevice, "it asks for the CDI device " + name + ", and " + why +
                                             first_error(inventory)};
  }
  return {};
}

}  // namespace

HeldUnits held_units(const runtime::PodStatus& pod, const DeviceInventory* inventory) {
  HeldUnits units;
  for (const ContainerStatus& container : pod.containers) {
    if (!is_alive(container)) continue;
    for (const runtime::HeldDevice& device : container.devices) {
      ++(is_there(device, inventory) ? units.there : units.gone)[device.resource];
    }
  }
  return units;
}

std::optional<DeviceWait> absent(const DeviceInventory* inventory, const std::string& resource,
                                 int64_t amount) {
  const std::string asks = asks_for(resource, amount);
  if (inventory == nullptr) return DeviceWait{kWaitingForDevice, asks + "; it is being looked for"};
  const DeviceStock* stock = stock_of(inventory, resource);
  if (stock != nullptr && stock->total >= amount) return {};
  if (!runtime::huge_page_of(resource)) {
    return stock == nullptr ? not_configured(*inventory, asks, resource)
                            : not_there(*inventory, asks, *stock);
  }
  const std::string kept = stock == nullptr
                               ? "the kernel knows no pages of that size"
                               : "the kernel keeps " + format_bytes(stock->total) +
                                     " of them ready: write more into nr_hugepages below "
                                     "/sys/kernel/mm/hugepages, at boot if there is no room later";
  return DeviceWait{kInsufficientPages, asks + ", and " + kept};
}

std::optional<DeviceWait> wait_for_devices(const PlanInput& input, const WorkloadSpec& spec,
                                           const std::vector<ContainerStart>& due) {
  if (!wants_devices(spec.pod)) return {};
  const DeviceInventory* inventory = input.devices.get();
  std::map<std::string, int64_t> wanted;
  for (const ContainerStart& start : due) {
    const auto* container = find_spec(spec, start.name);
    if (container == nullptr) continue;
    for (const auto& [resource, amount] : container->resources.extended) {
      if (!runtime::huge_page_of(resource)) wanted[resource] += amount;
    }
  }
  for (const auto& [resource, amount] : wanted) {
    if (auto wait = absent(inventory, resource, amount)) return wait;
    const DeviceStock* stock = stock_of(inventory, resource);
    const int64_t free = stock->total - used_units(input, resource, spec.name(), due);
    if (free >= amount) continue;
    return DeviceWait{kInsufficientDevices, asks_for(resource, amount) + ", and " +
                                                std::to_string(std::max<int64_t>(0, free)) +
                                                " of the " + std::to_string(stock->total) +
                                                " that are there are free: it waits for " +
                                                stock->looked_for};
  }
  if (spec.pod.cdi_devices.empty()) return {};
  if (inventory == nullptr) return DeviceWait{kWaitingForDevice, "its CDI devices are looked for"};
  return missing_cdi(*inventory, spec.pod);
}

std::optional<DeviceWait> lost_devices(const runtime::PodStatus& pod,
                                       const DeviceInventory* inventory) {
  std::vector<std::string> gone, unnamed;
  for (const ContainerStatus& container : pod.containers) {
    if (!is_alive(container)) continue;
    for (const runtime::HeldDevice& device : container.devices) {
      if (is_there(device, inventory)) continue;
      const bool known = stock_of(inventory, device.resource) != nullptr;
      (known ? gone : unnamed)
          .push_back(device.unit + " of container " + container.name + " (" + device.resource +
                     ")");
    }
  }
  const std::string then = "; it runs on as it is, and waits for a device when it is started again";
  if (!gone.empty()) return DeviceWait{"DeviceLost", join(gone, ", ") + " is gone" + then};
  if (unnamed.empty()) return {};
  return DeviceWait{kDeviceNotConfigured,
                    join(unnamed, ", ") + " is not of the devices in wherry.yaml any more" + then};
}

bool wants_devices(const runtime::PodSpec& pod) {
  return !pod.cdi_devices.empty() ||
         std::any_of(pod.containers.begin(), pod.containers.end(),
                     [](const auto& each) { return !each.resources.extended.empty(); });
}

bool is_about_devices(const std::string& reason) {
  return reason == kWaitingForDevice || reason == kDeviceNotConfigured ||
         reason == kInsufficientDevices || reason == kInsufficientPages;
}

}  // namespace wherry
