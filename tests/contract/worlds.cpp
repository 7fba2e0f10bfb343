#include <filesystem>

#include "tests/contract/runtime_world.h"

namespace wherry::runtime {

DeviceShelf::DeviceShelf() : devices_({}) {
  DeviceOptions options;
  options.classes["example.com/camera"].paths = {dir_ / "cam*"};
  options.cdi_dirs = {dir_ / "cdi"};
  std::filesystem::create_directories(dir_ / "cdi");
  devices_.set(std::move(options));
}

void DeviceShelf::plug(const std::string& name, const std::string& like) {
  std::filesystem::create_symlink("/dev/" + like, path(name));
}

void DeviceShelf::unplug(const std::string& name) { std::filesystem::remove(path(name)); }

ContainerSpec script_container(const RuntimeWorld& world, const std::string& name) {
  ContainerSpec container;
  container.name = name;
  container.image = world.image();
  container.command = {
      "/bin/sh", "-c",
      "trap 'exit 3' USR1; trap 'exit 143' TERM; while :; do sleep 1000 & wait $!; "
      "done"};
  return container;
}

PodSpec host_network_pod(const std::string& name, std::vector<ContainerSpec> containers) {
  PodSpec pod;
  pod.name = name;
  pod.hash = "hash-of-" + name;
  pod.hostname = name;
  pod.host_network = true;
  pod.containers = std::move(containers);
  pod.labels = {{"source", "devices/pump-7"}, {"empty", ""}};
  return pod;
}

}  // namespace wherry::runtime
