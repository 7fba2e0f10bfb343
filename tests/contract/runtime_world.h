#pragma once
// What the contract of runtime.h needs around an implementation, fake or real.

#include <memory>
#include <set>
#include <string>

#include "runtime/device/host_devices.h"
#include "runtime/runtime.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {

class RuntimeWorld {
 public:
  virtual ~RuntimeWorld() = default;
  virtual Runtime& runtime() = 0;
  virtual Execs& execs() = 0;
  virtual Resizer& resizer() = 0;
  // An image that is in the store; its default command ends at once with 0.
  virtual std::string image() const = 0;
  // The container's process, started with script(), ends with exit code 3.
  virtual void end_with_3(const ContainerStatus& container) = 0;
  // The container stack goes away and comes back; containers run on.
  virtual void disconnect() = 0;
  virtual void connect() = 0;
  // The device reboots: processes and network namespaces are gone, what is on disk is not.
  virtual void reboot() = 0;
  // A device that containers may ask for as "example.com/camera" is plugged in, or pulled out.
  virtual void plug(const std::string& name, const std::string& like) = 0;
  virtual void unplug(const std::string& name) = 0;
  // Pods that have a host side: directories, network.
  virtual std::set<std::string> host_sides() = 0;
};

// Devices in a directory of a test's own.
class DeviceShelf {
 public:
  DeviceShelf();
  HostDevices& devices() { return devices_; }
  std::string path(const std::string& name) const { return dir_ / name; }
  void plug(const std::string& name, const std::string& like);
  void unplug(const std::string& name);

 private:
  test::TempDir dir_;
  HostDevices devices_;
};

std::unique_ptr<RuntimeWorld> make_fake_world();
std::unique_ptr<RuntimeWorld> make_real_world();

// A shell script that runs until it is told to end: SIGUSR1 makes it exit with 3, SIGTERM as usual.
ContainerSpec script_container(const RuntimeWorld& world, const std::string& name);
PodSpec host_network_pod(const std::string& name, std::vector<ContainerSpec> containers);

}  // namespace wherry::runtime
