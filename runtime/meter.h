#pragma once
// What containers take, from the kernel: cgroups of either version. Part of the room's door beside
// runtime.h, owned by who watches; asking wakes up nobody and needs no containerd.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace wherry::runtime {

// What the kernel does not tell, or no longer does, is not there. Times are seconds, and like bytes
// of io, OOM kills and throttling they grow as long as the container lives.
struct ContainerUsage {
  std::optional<double> cpu_seconds, throttled_seconds;
  std::optional<int64_t> memory, working_set;  // bytes
  std::optional<int64_t> memory_limit;         // only where there is one
  std::optional<int64_t> oom_kills;            // processes that the kernel killed
  std::optional<int64_t> read_bytes, written_bytes;
  std::optional<int64_t> processes;  // threads count
};

// Of all interfaces of a Pod but its loopback.
struct PodTraffic {
  int64_t received = 0, transmitted = 0;  // bytes
};

// Thread-safe; blocks for the few reads it takes.
class Meter {
 public:
  virtual ~Meter() = default;
  virtual ContainerUsage container(const std::string& pod, const std::string& container_id) = 0;
  // `pid`: of a process in the container. Nothing where it is gone, or on the host's network.
  virtual std::optional<PodTraffic> traffic(const std::string& container_id, uint32_t pid) = 0;
};

struct MeterOptions {
  std::string instance;  // as PodRuntimeOptions::instance
  std::string proc = "/proc";
  std::string mountinfo = "/proc/self/mountinfo";
};
std::unique_ptr<Meter> make_cgroup_meter(const MeterOptions& options);

}  // namespace wherry::runtime
