#pragma once
// How a container of ours is named and labelled, so that it is found and understood again.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/containerd/client.h"
#include "runtime/types.h"

namespace wherry::runtime {

// Who we are on this machine.
struct Identity {
  std::string instance;  // may be empty
  std::string boot_id;

  // Of containers and snapshots: all of ours, or those of one Pod (and container).
  std::string filter(const std::string& pod = "", const std::string& container = "") const;
  std::string filter_of_devices() const;  // all of ours that were given any
  // "/wherry/web", "/wherry-test/web": where the containers' cgroups are.
  std::string cgroup_root() const { return instance.empty() ? "/wherry" : "/wherry-" + instance; }
  std::string cgroup_of_pod(const std::string& pod) const { return cgroup_root() + "/" + pod; }
  std::string cgroup(const std::string& pod, const std::string& container_id) const {
    return cgroup_of_pod(pod) + "/" + container_id;
  }

  // Says in `labels` of something of a Pod whose it is, so that filter() finds it.
  void own(StringMap& labels, const std::string& pod) const;
  static std::string pod_of(const StringMap& labels);

  // The same inputs give the same id, so that a crashed start is found. At most 76 characters,
  // letters, digits and single dashes (containerd identifiers.Validate).
  std::string container_id(const PodSpec& pod, const ContainerSpec& container, uint32_t attempt,
                           const std::string& image_digest) const;

  StringMap labels(const PodSpec& pod, const ContainerSpec& container, uint32_t attempt,
                   const Image& image) const;
};

// What the labels of a record say.
struct ContainerIdentity {
  ContainerStatus status;  // id, pod, name, image, image_digest, attempt
  std::string hash;
  std::string boot_id;
  bool host_network = false;
  bool message_from_logs = false;
  std::map<std::string, std::string> pod_labels;
  std::map<std::string, std::pair<std::string, std::string>> volume_images;
};
// Of a container's labels: PodStatus::volume_images.
void add_volume_images(const std::map<std::string, std::pair<std::string, std::string>>& images,
                       StringMap& labels);
// Cpu and memory of a container: ContainerStatus::size.
void add_size(const Resources& resources, StringMap& labels);
// What it was given: ContainerStatus::devices.
void add_devices(const std::vector<HeldDevice>& devices, StringMap& labels);
ContainerIdentity read_labels(const ContainerRecord& record);

// /proc/sys/kernel/random/boot_id; empty where it cannot be read.
std::string kernel_boot_id();

}  // namespace wherry::runtime
