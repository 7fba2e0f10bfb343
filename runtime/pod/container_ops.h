#pragma once
// One container: making it run, and making it gone. Every step may be the last before a crash, and
// both may be called again after it.

#include <mutex>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "runtime/pod/cgroups.h"
#include "runtime/pod/identity.h"
#include "runtime/pod/image_lookup.h"
#include "runtime/pod/image_volumes.h"
#include "runtime/pod/known_containers.h"
#include "runtime/pod/pod_runtime.h"
#include "runtime/pod/shared_pids.h"
#include "runtime/pod/start_notes.h"

namespace wherry::runtime {

// What all parts of the Pod runtime share.
struct PodContext {
  PodRuntimeParts parts;
  PodRuntimeOptions options;
  Identity identity;
  Cgroups cgroups;
  StartNotes notes;
  KnownContainers known;
  ImageLookup images;
  ImageVolumes image_volumes;
  SharedPids pids;
  // Held from choosing devices until the container's record tells of them: none is given twice. A
  // turn to wait for, which only containers with devices do.
  std::mutex device_turn{};
};

class ContainerOps {
 public:
  explicit ContainerOps(PodContext& context) : context_(context) {}

  Result<ContainerStatus> start(const PodSpec& pod, const ContainerSpec& container,
                                uint32_t attempt, const CancelToken& cancel);
  Status resize(const PodSpec& pod, const ContainerSpec& container, const std::string& id);
  // Task, snapshot, note, record: in this order, so that the record shows what is left.
  Status remove(const std::string& id);

 private:
  struct Plan {
    const PodSpec& pod;
    const ContainerSpec& container;
    uint32_t attempt;
    RunnableImage image;
    std::string id;
    std::vector<HeldDevice> before{};  // what it had in its last life
    DeviceGrant grant{};
  };

  Result<ContainerStatus> start_planned(Plan& plan, const CancelToken& cancel);
  // Of what exists under this Pod and container name: the running one of this attempt, to adopt.
  // The dead are removed.
  Result<std::optional<ContainerStatus>> settle_existing(Plan& plan);
  // Its specification and record, with the devices that it gets.
  Status make_container(Plan& plan, const CancelToken& cancel);
  Status grant_devices(Plan& plan);
  // What containers that are not dead have.
  Result<std::vector<HeldDevice>> taken_devices();
  Result<std::string> make_spec(const Plan& plan, const CancelToken& cancel);
  Status fill_marks(const PodSpec& pod, ContainerSpec& container);
  Result<std::string> runtime_of(const PodSpec& pod) const;
  Status create_record(const Plan& plan, const std::string& spec, const CancelToken& cancel);
  Result<std::vector<Mount>> prepare_snapshot(const Plan& plan, const CancelToken& cancel);
  Result<ContainerStatus> run(const Plan& plan, const CancelToken& cancel);
  Status check_memory(const PodSpec& pod, const ContainerSpec& container, const std::string& id);
  void share_cpu(const PodSpec& pod);
  ContainerStatus status_of(const Plan& plan) const;
  Status stop_task(const std::string& id);
  Status delete_task(const std::string& id);

  PodContext& context_;
};

}  // namespace wherry::runtime
