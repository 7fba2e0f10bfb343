#include "tests/contract/runtime_world.h"

namespace wherry::runtime {

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
