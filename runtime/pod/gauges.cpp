#include "runtime/pod/gauges.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "runtime/pod/cgroups.h"
#include "runtime/pod/identity.h"
#include "runtime/volume/directory.h"

namespace wherry::runtime {
namespace {

namespace fs = std::filesystem;

// What stands behind `key` in a text of words; `otherwise` where it is not there.
double after(const std::string& path, const std::string& line_begin, const std::string& key,
             double otherwise = 0) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(line_begin)) continue;
    const size_t at = line.find(key);
    if (at == std::string::npos) return otherwise;
    return std::strtod(line.c_str() + at + key.size(), nullptr);
  }
  return otherwise;
}

int64_t number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : 0;
}

// Bytes that a tree takes of its disk; no link is followed, no other filesystem entered.
int64_t disk_usage(const std::string& root) {
  struct stat top {};
  if (lstat(root.c_str(), &top) != 0) return 0;
  int64_t blocks = top.st_blocks;
  std::set<ino_t> counted;  // files with several names
  std::error_code error;
  auto entry =
      fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    struct stat info {};
    if (lstat(entry->path().c_str(), &info) != 0) continue;
    if (info.st_dev != top.st_dev) {
      entry.disable_recursion_pending();
    } else if (S_ISDIR(info.st_mode) || info.st_nlink < 2 || counted.insert(info.st_ino).second) {
      blocks += info.st_blocks;
    }
  }
  return blocks * 512;
}

std::vector<std::string> known_names(const std::string& directory) {
  return names_in(directory).value_or(std::vector<std::string>());
}

class PodGauges final : public Gauges {
 public:
  PodGauges(Client& client, StoreFacts* store, GaugeOptions options)
      : client_(client),
        store_(store),
        options_(std::move(options)),
        identity_{options_.instance, ""},
        cgroups_(options_.mountinfo) {}

  DeviceGauge device() override {
    DeviceGauge made;
    const std::string memory = options_.proc + "/meminfo";
    // Nothing is known without both: a number that cannot be read is no number of bytes.
    const double available = after(memory, "MemAvailable:", ":", -1);
    if (available >= 0) {
      made.memory_total = static_cast<int64_t>(after(memory, "MemTotal:", ":")) * 1024;
      made.memory_available = static_cast<int64_t>(available) * 1024;
    }
    // The longer of both averages goes on for a while after it is over.
    const std::string pressure = options_.proc + "/pressure/memory";
    made.memory_stalled =
        std::min(after(pressure, "full", "avg10="), after(pressure, "full", "avg60="));
    made.processes = static_cast<int64_t>(after(options_.proc + "/loadavg", "", "/"));
    made.processes_most = std::min(number_in(options_.proc + "/sys/kernel/pid_max"),
                                   number_in(options_.proc + "/sys/kernel/threads-max"));
    add_disk(options_.state_dir, "the state directory", made);
    const StorePlaces places = store_places();
    add_disk(places.snapshots, "containerd's snapshots", made);
    add_disk(places.content, "containerd's content", made);
    return made;
  }

  Result<std::map<std::string, PodUsage>> pods(bool disk) override {
    const auto records = client_.containers().list({identity_.filter()});
    if (!records) return fail(records.error());
    std::map<std::string, PodUsage> all;
    for (const ContainerRecord& record : *records) {
      const std::string pod = Identity::pod_of(record.labels);
      PodUsage& usage = all[pod];
      const std::string cgroup = identity_.cgroup(pod, record.id);
      usage.memory += cgroups_.working_set(cgroup).value_or(0);
      usage.processes += cgroups_.processes(cgroup);
      if (!disk) continue;
      if (const auto size = client_.snapshots().usage(record.snapshot_key)) {
        usage.containers[read_labels(record).status.name] += *size;
      }
    }
    for (auto& [pod, usage] : all) {
      if (disk) add_files(pod, usage);
    }
    return all;
  }

 private:
  // Asked until it is known: it does not move.
  StorePlaces store_places() {
    const std::lock_guard lock(mutex_);
    if (store_ != nullptr && places_.content.empty()) {
      if (auto places = store_->places()) places_ = std::move(*places);
    }
    return places_;
  }

  void add_files(const std::string& pod, PodUsage& usage) const {
    for (const std::string& log : known_names(options_.state_dir + "/logs/" + pod)) {
      usage.containers[log.substr(0, log.find(".log"))] +=
          disk_usage(options_.state_dir + "/logs/" + pod + "/" + log);
    }
    const std::string volumes = options_.state_dir + "/pods/" + pod + "/volumes/";
    for (const std::string& volume : known_names(volumes)) {
      usage.volumes[volume] = disk_usage(volumes + volume);
    }
    for (const auto& [name, bytes] : usage.containers) usage.disk += bytes;
    for (const auto& [name, bytes] : usage.volumes) usage.disk += bytes;
  }

  static void add_disk(const std::string& path, const char* holds, DeviceGauge& made) {
    struct statvfs info {};
    if (path.empty() || statvfs(path.c_str(), &info) != 0) return;
    const auto unit = static_cast<int64_t>(info.f_frsize);
    made.disks.push_back({holds, static_cast<int64_t>(info.f_blocks) * unit,
                          static_cast<int64_t>(info.f_bavail) * unit});
  }

  Client& client_;
  StoreFacts* const store_;
  const GaugeOptions options_;
  const Identity identity_;
  const Cgroups cgroups_;
  std::mutex mutex_;
  StorePlaces places_;
};

}  // namespace

std::unique_ptr<Gauges> make_gauges(Client& client, StoreFacts* store, GaugeOptions options) {
  return std::make_unique<PodGauges>(client, store, std::move(options));
}

}  // namespace wherry::runtime
