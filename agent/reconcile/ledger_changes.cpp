// What comes of changes to Pods that run on (the content of volumes, cpu and memory), and of Pods
// that have to go because the device runs short.

#include <algorithm>

#include "agent/reconcile/device_need.h"
#include "agent/reconcile/ledger.h"

namespace wherry {

using runtime::ContainerStatus;

void Ledger::acted_update(const ActionResult& result, WorkloadMemory& memory) {
  const std::string& name = result.action.workload;
  if (result.status) {
    // The first time of this life nobody knows whether anything was to be done.
    if (!memory.files_hash.empty()) {
      event(name, "", "Normal", "VolumesUpdated", "its volumes show the new content");
    }
    memory.files_hash = result.action.spec->pod.files_hash;
    memory.files.clear();
  } else if (!is_transient(result.status.error())) {
    memory.files.failed(result.status.error(), "VolumeUpdateFailed", clock_.now());
    event(name, "", "Warning", "VolumeUpdateFailed", memory.files.message);
  }
}

void Ledger::acted_resize(const ActionResult& result, WorkloadMemory& memory) {
  const std::string& name = result.action.workload;
  for (const std::string& container : result.resized) {
    const runtime::ContainerSpec* spec = find_spec(*result.action.spec, container);
    for (ContainerStatus& status : observed_[name].containers) {
      if (status.name == container && spec != nullptr) status.size = spec->resources;
    }
    event(name, container, "Normal", "Resized",
          "container " + container + " has its new cpu and memory, without a restart");
  }
  if (result.status) {
    memory.resize.clear();
    return;
  }
  look_at(name);
  if (is_transient(result.status.error())) return;
  memory.resize.failed(result.status.error(), "ResizeFailed", clock_.now());
  // One that has ended, or is paused, is no trouble.
  if (result.status.error().code() == Code::NotFound) return;
  event(name, "", "Warning", memory.resize.reason, memory.resize.message);
}

// Taken for gone until the look that follows: or the same would be done again and again, which
// would put off that look.
void Ledger::acted_remove_part(const ActionResult& result) {
  const std::string& name = result.action.workload;
  event(name, "", "Warning", "SandboxChanged",
        "its network namespace is gone: its containers are stopped and started in a new one");
  look_at(name);
  const auto pod = observed_.find(name);
  if (pod == observed_.end()) return;
  const std::vector<std::string>& gone = result.action.container_ids;
  std::erase_if(pod->second.containers, [&](const ContainerStatus& each) {
    return std::find(gone.begin(), gone.end(), each.id) != gone.end();
  });
  if (pod->second.containers.empty()) observed_.erase(pod);
}

// An earlier life that was killed while it removed a Pod has left something of it, though no
// container: its history goes last.
void Ledger::note_remains() {
  for (auto& [name, memory] : memory_) {
    if (observed_.contains(name)) continue;
    forget_same_images(name);
    if (!memory.prepared_hash.empty()) continue;
    if (memory.ran_before()) memory.prepared_hash = memory.wanted_hash;
  }
}

void Ledger::evict(const Eviction& eviction) {
  WorkloadMemory& memory = memory_[eviction.workload];
  const MonoTime now = clock_.now();
  const bool recovered =
      std::any_of(memory.containers.begin(), memory.containers.end(), [&](const auto& container) {
        return container.second.running_since &&
               now - *container.second.running_since >= kRecovered;
      });
  if (recovered) memory.eviction.clear();
  memory.evicting = true;
  memory.eviction.failed(Error(Code::ResourceExhausted, eviction.message, "Evicted"), "", now);
  event(eviction.workload, "", "Warning", "Evicted", eviction.message);
}

void Ledger::keep_evicted(MonoTime until) {
  for (auto& [name, memory] : memory_) {
    if (!memory.eviction || !memory.eviction.waits(clock_.now())) continue;
    memory.eviction.not_before = std::max(memory.eviction.not_before, until);
  }
}

void Ledger::set_devices(runtime::DeviceInventory inventory) {
  if (devices_ && *devices_ == inventory) return;
  devices_ = std::make_shared<const runtime::DeviceInventory>(std::move(inventory));
  for (auto& [name, memory] : memory_) {
    for (auto& [container, past] : memory.containers) {
      if (past.start && is_about_devices(past.start.reason)) past.start.clear();
    }
  }
}

}  // namespace wherry
