#include "agent/reconcile/eviction.h"

#include <algorithm>
#include <tuple>

#include "base/quantity.h"

namespace wherry {
namespace {

constexpr int64_t kLeastMemory = 100 << 20;
constexpr double kMostStalled = 40;  // percent
// One that is being stopped and is gone within this may be all that it takes.
constexpr Duration kSoonGone = std::chrono::seconds(30);

struct Candidate {
  std::string name;
  int32_t priority = 0;
  int64_t used = 0, asked = 0;
  // The smallest goes first.
  auto rank() const { return std::tuple(used <= asked, priority, asked - used, name); }
};

std::string amount(Shortage of, int64_t number) {
  return of == Shortage::Processes ? std::to_string(number) + " processes" : format_bytes(number);
}

const char* name_of(Shortage of) {
  if (of == Shortage::Memory) return " of memory";
  return of == Shortage::Disk ? " of the disk" : "";
}

int64_t used_of(Shortage of, const runtime::PodUsage& usage) {
  if (of == Shortage::Memory) return usage.memory;
  return of == Shortage::Disk ? usage.disk : usage.processes;
}

int64_t asked_of(Shortage of, const runtime::PodSpec& spec) {
  const runtime::Resources request = request_of(spec);
  if (of == Shortage::Memory) return request.memory_request;
  return of == Shortage::Disk ? request.storage_request : 0;
}

bool is_limited(const runtime::Volume& volume) {
  return volume.kind == runtime::Volume::Kind::EmptyDir && !volume.memory && volume.size_limit > 0;
}

int64_t value_in(const std::map<std::string, int64_t>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? 0 : found->second;
}

// Which limit of the disk it is past; "" where there is none. As the kubelet: a container's files
// and log by its own limit, all of the Pod by the sum of those.
std::string excess(const runtime::PodSpec& spec, const runtime::PodUsage& usage) {
  const auto more_than = [](int64_t limit) { return ", more than " + format_bytes(limit); };
  for (const runtime::Volume& volume : spec.volumes) {
    const int64_t used = value_in(usage.volumes, volume.name);
    if (!is_limited(volume) || used <= volume.size_limit) continue;
    return "its emptyDir " + volume.name + " holds " + format_bytes(used) +
           more_than(volume.size_limit) + ", its sizeLimit";
  }
  int64_t together = 0;
  for (const runtime::ContainerSpec& container : spec.containers) {
    const int64_t used = value_in(usage.containers, container.name);
    const int64_t limit = container.resources.storage_limit;
    together = limit > INT64_MAX - together ? INT64_MAX : together + limit;
    if (limit == 0 || used <= limit) continue;
    return "container " + container.name + " took " + format_bytes(used) +
           " of the disk for files and log" + more_than(limit) + ", its limit of ephemeral-storage";
  }
  if (together == 0 || usage.disk <= together) return {};
  return "it took " + format_bytes(usage.disk) + " of the disk" + more_than(together) +
         ", the limit of ephemeral-storage of its containers together";
}

}  // namespace

Pressure find_pressure(const runtime::DeviceGauge& device, int64_t disk_reserve) {
  const int64_t least = std::min(kLeastMemory, device.memory_total / 20);
  if (device.memory_total > 0 && device.memory_available < least) {
    return {Shortage::Memory,
            "the device is short of memory: " + format_bytes(device.memory_available) +
                " are available, and " + format_bytes(least) + " are the least"};
  }
  // One that has reached its own limit waits for memory, too: then there is plenty for others.
  if (device.memory_stalled >= kMostStalled && device.memory_available < device.memory_total / 8) {
    return {Shortage::Memory, "the device is short of memory: for " +
                                  std::to_string(static_cast<int>(device.memory_stalled)) +
                                  " % of the time everything waited for it"};
  }
  for (const runtime::DeviceGauge::Disk& disk : device.disks) {
    const int64_t needed = std::min(disk_reserve / 2, disk.total / 10);
    if (disk.free >= needed) continue;
    return {Shortage::Disk, "the disk of " + disk.holds + " is full: " + format_bytes(disk.free) +
                                " are free, and " + format_bytes(needed) + " are the least"};
  }
  if (device.processes_most > 0 && device.processes > device.processes_most / 20 * 19) {
    return {Shortage::Processes, "the device runs " + std::to_string(device.processes) +
                                     " processes and threads, and can run " +
                                     std::to_string(device.processes_most)};
  }
  return {};
}

std::optional<Eviction> choose_evicted(const PlanInput& input, const Pressure& pressure,
                                       const std::map<std::string, runtime::PodUsage>& usage) {
  if (pressure.of == Shortage::None) return {};
  std::vector<Candidate> candidates;
  for (const auto& [name, pod] : input.observed) {
    const auto spec = input.desired.find(name);
    const auto memory = input.memory.find(name);
    const auto use = usage.find(name);
    if (memory != input.memory.end() && memory->second.evicting) return {};
    if (memory != input.memory.end() && memory->second.kill_at) {
      if (*memory->second.kill_at <= input.now + kSoonGone) return {};
      continue;
    }
    if (spec == input.desired.end() || use == usage.end() || running_ids(pod).empty()) continue;
    const int64_t used = used_of(pressure.of, use->second);
    if (used == 0 || spec->second->priority >= kCriticalPriority) continue;
    candidates.push_back(
        {name, spec->second->priority, used, asked_of(pressure.of, spec->second->pod)});
  }
  const auto worst =
      std::min_element(candidates.begin(), candidates.end(),
                       [](const auto& a, const auto& b) { return a.rank() < b.rank(); });
  if (worst == candidates.end()) return {};
  return Eviction{worst->name, pressure.message + "; it used " + amount(pressure.of, worst->used) +
                                   name_of(pressure.of) +
                                   (pressure.of == Shortage::Processes
                                        ? ""
                                        : " and asked for " + amount(pressure.of, worst->asked))};
}

bool has_disk_limits(const std::map<std::string, SpecPtr>& desired) {
  return std::any_of(desired.begin(), desired.end(), [](const auto& entry) {
    const runtime::PodSpec& spec = entry.second->pod;
    return std::any_of(spec.volumes.begin(), spec.volumes.end(), is_limited) ||
           std::any_of(spec.containers.begin(), spec.containers.end(),
                       [](const auto& each) { return each.resources.storage_limit > 0; });
  });
}

std::vector<Eviction> over_disk_limits(const PlanInput& input,
                                       const std::map<std::string, runtime::PodUsage>& usage) {
  std::vector<Eviction> over;
  for (const auto& [name, use] : usage) {
    const auto spec = input.desired.find(name);
    const auto pod = input.observed.find(name);
    const auto memory = input.memory.find(name);
    if (spec == input.desired.end() || pod == input.observed.end()) continue;
    if (pod->second.hash != spec->second->pod.hash || running_ids(pod->second).empty()) continue;
    const bool goes =
        memory != input.memory.end() && (memory->second.kill_at || memory->second.evicting);
    std::string message = goes ? "" : excess(spec->second->pod, use);
    if (!message.empty()) over.push_back({name, std::move(message)});
  }
  return over;
}

}  // namespace wherry
