#include <algorithm>

#include <nlohmann/json.hpp>

#include "runtime/spec/linux_parts.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

struct Mount {
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
};

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

long depth(const std::string& path) {
  return path == "/" ? 0 : std::count(path.begin(), path.end(), '/');
}

std::vector<Mount> default_mounts(bool privileged) {
  const std::string access = privileged ? "rw" : "ro";
  return {
      {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", access}},
      {"/dev/pts",
       "devpts",
       "devpts",
       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
      {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", access}},
  };
}

// None: mounts made on either side stay there.
const char* propagation_of(const BindMount& bind) {
  switch (bind.propagation) {
    case MountPropagation::None:
      return "rprivate";
    case MountPropagation::HostToContainer:
      return "rslave";
    case MountPropagation::Bidirectional:
      return "rshared";
  }
  return "rprivate";
}

}  // namespace

const char* rootfs_propagation(const std::vector<BindMount>& binds) {
  MountPropagation most = MountPropagation::None;
  for (const BindMount& bind : binds) most = std::max(most, bind.propagation);
  if (most == MountPropagation::None) return nullptr;
  return most == MountPropagation::HostToContainer ? "rslave" : "rshared";
}

Json container_mounts(const std::vector<BindMount>& binds, bool privileged) {
  std::vector<Mount> mounts = default_mounts(privileged);
  for (const BindMount& bind : binds) {
    const std::string destination = without_trailing_slash(bind.destination);
    std::erase_if(mounts, [&](const Mount& m) { return m.destination == destination; });
    mounts.push_back({destination,
                      "bind",
                      bind.source,
                      {"rbind", propagation_of(bind), bind.read_only ? "ro" : "rw"}});
  }
  std::stable_sort(mounts.begin(), mounts.end(), [](const Mount& a, const Mount& b) {
    return depth(a.destination) < depth(b.destination);
  });
  Json list = Json::array();
  for (Mount& mount : mounts) {
    list.push_back({{"destination", std::move(mount.destination)},
                    {"type", std::move(mount.type)},
                    {"source", std::move(mount.source)},
                    {"options", std::move(mount.options)}});
  }
  return list;
}

Json masked_paths() {
  return {"/proc/acpi",
          "/proc/asound",
          "/proc/kcore",
          "/proc/keys",
          "/proc/latency_stats",
          "/proc/timer_list",
          "/proc/timer_stats",
          "/proc/sched_debug",
          "/proc/scsi",
          "/sys/firmware",
          "/sys/devices/virtual/powercap"};
}

Json read_only_paths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

}  // namespace wherry::runtime
