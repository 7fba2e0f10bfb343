#pragma once
// runtime.h on containerd: puts client, OCI specification, network, volumes and logs together.
//
// What exists is found again by labels on containerd's records, never by memory. A container's
// record is written first and deleted last: whatever else there is of it (snapshot, task, cgroup)
// is reachable through a record that observe() shows, so a crash at any step leaves nothing hidden
// and no lease is needed.
//
// Containers without a task: a note in the run directory tells one that was started (Exited, exit
// code 255: nobody knows better) from one that was only made (Created). After a reboot, which the
// boot id in the labels shows, every one of them is Exited with 255.

#include <map>
#include <memory>
#include <string>

#include "runtime/containerd/client.h"
#include "runtime/device/host_devices.h"
#include "runtime/log/container_log.h"
#include "runtime/network/network.h"
#include "runtime/runtime.h"
#include "runtime/spec/oci_spec.h"
#include "runtime/volume/volumes.h"

namespace wherry::runtime {

struct PodRuntimeOptions {
  std::string run_dir;  // gone after a reboot, e.g. /run/wherry
  std::string runtime_name = "io.containerd.runc.v2";
  // Tells agents on one machine apart: in cgroup paths, container ids and labels. May be empty.
  std::string instance;
  int64_t default_pids_limit = 1024;  // where a container says none; 0: unlimited
  std::map<std::string, std::string> runtime_classes{};  // runtimeClassName -> runtime_name
  std::string seccomp_dir{};                             // profiles of type Localhost
  std::string boot_id;                                   // empty: the kernel's
  std::string pause_program{};                           // wherry-pause, absolute
};

// What the runtime is made of; all must outlive it.
struct PodRuntimeParts {
  Client& client;
  ImageBackend& images;
  PodNetwork& network;
  Volumes& volumes;
  ContainerLogs& logs;
  HostFacts host;
  HostDevices* devices = nullptr;  // null: no container can have any
};

class ContainerRuntime : public Runtime, public Resizer {};
std::unique_ptr<ContainerRuntime> make_pod_runtime(PodRuntimeParts parts,
                                                   PodRuntimeOptions options);

}  // namespace wherry::runtime
