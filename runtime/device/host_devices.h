#pragma once
// Devices of this machine by the names of their resources: which there are, and which ones a
// container gets. Keeps no book of who has what: that is in the containers' labels.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/device/cdi_registry.h"
#include "runtime/device/spec_edits.h"
#include "runtime/devices.h"

namespace wherry::runtime {

struct DeviceOptions {
  std::map<std::string, DeviceClass> classes{};                   // by resource
  std::vector<std::string> cdi_dirs{"/etc/cdi", "/var/run/cdi"};  // the later wins
  std::string huge_pages = "/sys/kernel/mm/hugepages";
};

// What a container is started with.
struct DeviceGrant {
  struct Node {
    std::string path;  // in the container
    NodeFacts facts;
    std::string permissions;
  };
  std::vector<HeldDevice> held;
  std::vector<Node> nodes;
  std::vector<CdiDevice> cdi;
};

class HostDevices final : public Devices {
 public:
  explicit HostDevices(DeviceOptions options) : options_(std::move(options)) {}

  // From now on.
  void set(DeviceOptions options);
  DeviceInventory inventory() override;

  // For one container of `pod`: `taken` is what running containers have, `before` what it had
  // itself, which it gets again where it can. Errors: FailedPrecondition with reason
  // DeviceNotConfigured, WaitingForDevice or InsufficientDevices.
  Result<DeviceGrant> choose(const PodSpec& pod, const ContainerSpec& container,
                             const std::vector<HeldDevice>& taken,
                             const std::vector<HeldDevice>& before) const;

 private:
  DeviceOptions options() const;
  // Read again only where a file has changed: it is looked every second while a Pod waits.
  std::shared_ptr<const CdiRegistry> registry(const std::vector<std::string>& dirs) const;

  mutable std::mutex mutex_;
  DeviceOptions options_;
  mutable std::string read_state_;
  mutable std::shared_ptr<const CdiRegistry> registry_;
};

// `spec_json` of make_oci_spec(), with what was granted.
Result<std::string> with_devices(const std::string& spec_json, const DeviceGrant& grant);
// The container asks for a device, by resource or by CDI name.
bool wants_devices(const PodSpec& pod, const ContainerSpec& container);

}  // namespace wherry::runtime
