#pragma once
// Beside runtime.h: which devices and huge pages there are for containers to ask for.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

// What one extended resource stands for. Either `paths` or `cdi`.
struct DeviceClass {
  std::vector<std::string> paths{};  // patterns of glob(7) for device nodes, absolute
  // Names of the Container Device Interface: "vendor.com/class=name", or "vendor.com/class" for all
  // devices of that kind.
  std::vector<std::string> cdi{};
  int shared = 1;                   // containers that may have one device at the same time
  std::string permissions = "rwm";  // of `paths`: read, write, mknod
  std::string container_path{};     // of `paths`: the node's place inside; empty: as on the host
  bool operator==(const DeviceClass&) const = default;
};

// One resource, as it is now.
struct DeviceStock {
  int64_t total = 0;  // units: devices times how many may share each; of huge pages bytes
  std::map<std::string, std::string> units{};  // those there are -> HeldDevice::number
  std::string looked_for{};                    // "/dev/video*"; empty: huge pages
  bool operator==(const DeviceStock&) const = default;
};

struct DeviceInventory {
  // The configured resources, and "hugepages-…" for every size the kernel knows.
  std::map<std::string, DeviceStock> resources{};
  // Qualified names of all CDI devices -> why nobody can have it now, and the mend; "": one can.
  std::map<std::string, std::string> cdi{};
  std::vector<std::string> cdi_dirs{};    // where they were looked for
  std::vector<std::string> cdi_errors{};  // "/etc/cdi/gpu.yaml: devices[0].name: …"
  bool operator==(const DeviceInventory&) const = default;
};

// Thread-safe; blocks for as long as it takes to list a few directories.
class Devices {
 public:
  virtual ~Devices() = default;
  virtual DeviceInventory inventory() = 0;
};

}  // namespace wherry::runtime
