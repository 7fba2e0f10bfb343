#include "runtime/meter.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/pod/cgroups.h"
#include "runtime/pod/identity.h"

namespace wherry::runtime {
namespace {

// Version 1 writes "no limit" as the greatest multiple of a page that fits.
constexpr int64_t kNoLimit = int64_t{1} << 60;

std::optional<int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

// The value of `key` in a file of "key value" lines.
std::optional<int64_t> value_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  int64_t value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return std::nullopt;
}

std::optional<double> seconds(std::optional<int64_t> count, double unit) {
  return count ? std::optional(static_cast<double>(*count) * unit) : std::nullopt;
}

template <typename T>
void take(std::optional<T>& slot, std::optional<T> value) {
  if (value) slot = value;
}

// io.stat of version 2: "8:0 rbytes=1 wbytes=2 rios=…", a line a device.
void read_io_stat(const std::string& path, ContainerUsage& usage) {
  std::ifstream file(path);
  if (!file) return;
  int64_t read = 0, written = 0;
  for (std::string word; file >> word;) {
    if (word.starts_with("rbytes=")) read += std::strtoll(word.c_str() + 7, nullptr, 10);
    if (word.starts_with("wbytes=")) written += std::strtoll(word.c_str() + 7, nullptr, 10);
  }
  usage.read_bytes = read;
  usage.written_bytes = written;
}

// blkio.throttle.io_service_bytes of version 1: "8:0 Read 1", a line a device and kind.
void read_blkio(const std::string& path, ContainerUsage& usage) {
  std::ifstream file(path);
  if (!file) return;
  int64_t read = 0, written = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string device, kind;
    int64_t bytes = 0;
    if (!(words >> device >> kind >> bytes)) continue;
    if (kind == "Read") read += bytes;
    if (kind == "Write") written += bytes;
  }
  usage.read_bytes = read;
  usage.written_bytes = written;
}

// A directory of one hierarchy has the files of its controllers only; all of version 2's are in
// one. Kernel documentation: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/.
void read_version_2(const std::string& directory, ContainerUsage& usage) {
  const std::string cpu = directory + "/cpu.stat";
  take(usage.cpu_seconds, seconds(value_of(cpu, "usage_usec"), 1e-6));
  take(usage.throttled_seconds, seconds(value_of(cpu, "throttled_usec"), 1e-6));
  const auto memory = number_in(directory + "/memory.current");
  if (memory) {
    usage.memory = memory;
    const auto files = value_of(directory + "/memory.stat", "inactive_file");
    usage.working_set = std::max<int64_t>(0, *memory - files.value_or(0));
    usage.memory_limit = number_in(directory + "/memory.max");  // or the word "max"
    usage.oom_kills = value_of(directory + "/memory.events", "oom_kill");
  }
  read_io_stat(directory + "/io.stat", usage);
}

void read_version_1(const std::string& directory, ContainerUsage& usage) {
  take(usage.cpu_seconds, seconds(number_in(directory + "/cpuacct.usage"), 1e-9));
  take(usage.throttled_seconds, seconds(value_of(directory + "/cpu.stat", "throttled_time"), 1e-9));
  const auto memory = number_in(directory + "/memory.usage_in_bytes");
  if (memory) {
    usage.memory = memory;
    const auto files = value_of(directory + "/memory.stat", "total_inactive_file");
    usage.working_set = std::max<int64_t>(0, *memory - files.value_or(0));
    const auto limit = number_in(directory + "/memory.limit_in_bytes");
    if (limit && *limit < kNoLimit) usage.memory_limit = limit;
    usage.oom_kills = value_of(directory + "/memory.oom_control", "oom_kill");
  }
  read_blkio(directory + "/blkio.throttle.io_service_bytes", usage);
}

class CgroupMeter final : public Meter {
 public:
  explicit CgroupMeter(const MeterOptions& options)
      : proc_(options.proc), identity_{options.instance, ""}, cgroups_(options.mountinfo) {}

  ContainerUsage container(const std::string& pod, const std::string& container_id) override {
    ContainerUsage usage;
    for (const std::string& directory : cgroups_.directories(identity_.cgroup(pod, container_id))) {
      if (access(directory.c_str(), F_OK) != 0) continue;
      read_version_2(directory, usage);
      read_version_1(directory, usage);
      take(usage.processes, number_in(directory + "/pids.current"));
    }
    return usage;
  }

  std::optional<PodTraffic> traffic(const std::string& container_id, uint32_t pid) override {
    const std::string process = proc_ + "/" + std::to_string(pid);
    if (pid == 0 || !belongs(process, container_id) || on_host_network(process)) return {};
    std::ifstream file(process + "/net/dev");
    PodTraffic traffic;
    bool any = false;
    // proc(5): "eth0: bytes packets errs drop fifo frame compressed multicast bytes …"
    for (std::string line; std::getline(file, line);) {
      const size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      std::istringstream words(line.substr(0, colon) + " " + line.substr(colon + 1));
      std::string name;
      int64_t received = 0, skipped = 0, transmitted = 0;
      words >> name >> received;
      for (int i = 0; i < 7; ++i) words >> skipped;
      if (!(words >> transmitted) || name == "lo") continue;
      traffic.received += received;
      traffic.transmitted += transmitted;
      any = true;
    }
    return any ? std::optional(traffic) : std::nullopt;
  }

 private:
  // The number may be another process's by now.
  static bool belongs(const std::string& process, const std::string& container_id) {
    std::ifstream file(process + "/cgroup");
    for (std::string line; std::getline(file, line);) {
      if (line.find(container_id) != std::string::npos) return true;
    }
    return false;
  }
  bool on_host_network(const std::string& process) const {
    struct stat theirs {};
    struct stat ours {};
    return stat((process + "/ns/net").c_str(), &theirs) != 0 ||
           stat((proc_ + "/self/ns/net").c_str(), &ours) != 0 ||
           (theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev);
  }

  const std::string proc_;
  const Identity identity_;
  const Cgroups cgroups_;
};

}  // namespace

std::unique_ptr<Meter> make_cgroup_meter(const MeterOptions& options) {
  return std::make_unique<CgroupMeter>(options);
}

}  // namespace wherry::runtime
