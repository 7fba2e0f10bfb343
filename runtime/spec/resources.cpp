#include <algorithm>
#include <array>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <string_view>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <nlohmann/json.hpp>

#include "runtime/spec/linux_parts.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMinCpuQuota = 1'000;  // the kernel accepts no less
constexpr int64_t kMinCpuShares = 2;     // cgroup v1, cpu.shares
constexpr int64_t kMaxCpuShares = 262'144;
// Where neither the Pod nor the configuration gives a limit: above what real programs reach, far
// below what a fork bomb needs to take the device down.
constexpr int64_t kDefaultPids = 4096;
constexpr int kMaxDeviceDepth = 8;

Json cpu(const Resources& wanted) {
  Json cpu = Json::object();
  // Kubernetes: a limit without a request is also the request.
  cpu["shares"] =
      cpu_shares(wanted.cpu_request_milli > 0 ? wanted.cpu_request_milli : wanted.cpu_limit_milli);
  if (wanted.cpu_limit_milli > 0) {
    const int64_t milli = std::min<int64_t>(wanted.cpu_limit_milli, INT64_MAX / kCpuPeriod);
    cpu["quota"] = std::max(milli * kCpuPeriod / 1000, kMinCpuQuota);
    cpu["period"] = kCpuPeriod;
  }
  return cpu;
}

// As config-linux.md#huge-page-limits writes sizes: 64KB, 2MB, 1GB.
std::string page_name(int64_t bytes) {
  constexpr std::array<const char*, 3> kUnits{"KB", "MB", "GB"};
  size_t unit = 0;
  for (bytes /= 1024; bytes >= 1024 && unit + 1 < kUnits.size(); bytes /= 1024) ++unit;
  return std::to_string(bytes) + kUnits[unit];
}

// As kubelet does: of what it does not ask for a container has none.
Json huge_page_limits(const Resources& wanted, const HostFacts& host) {
  Json list = Json::array();
  if (!host.hugetlb) return list;
  std::map<int64_t, int64_t> limits;
  for (const int64_t size : host.huge_pages) limits[size] = 0;
  for (const auto& [name, amount] : wanted.extended) {
    if (const auto size = huge_page_of(name)) limits[*size] = amount;
  }
  for (const auto& [size, limit] : limits) {
    list.push_back({{"pageSize", page_name(size)}, {"limit", limit}});
  }
  return list;
}

bool is_own_of_container(std::string_view name) {
  constexpr std::array<std::string_view, 8> kOwn = {"pts",     "shm",  "fd",          "mqueue",
                                                    "console", ".lxc", ".lxd-mounts", ".udev"};
  return std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end();
}

void add_devices(int directory_fd, const std::string& inside, int depth, Json& list) {
  DIR* directory = fdopendir(directory_fd);
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name(entry->d_name);
    if (name == "." || name == ".." || is_own_of_container(name)) continue;
    struct stat info {};
    if (fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const std::string path = inside + "/" + entry->d_name;
    if (S_ISDIR(info.st_mode) && depth < kMaxDeviceDepth) {
      const int child =
          openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (child >= 0) add_devices(child, path, depth + 1, list);
    } else if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      list.push_back({{"path", path},
                      {"type", S_ISCHR(info.st_mode) ? "c" : "b"},
                      {"major", major(info.st_rdev)},
                      {"minor", minor(info.st_rdev)},
                      {"fileMode", info.st_mode & 07777},
                      {"uid", info.st_uid},
                      {"gid", info.st_gid}});
    }
  }
  closedir(directory);
}

}  // namespace

int64_t cpu_shares(int64_t request_milli) {
  const int64_t milli = std::min<int64_t>(request_milli, kMaxCpuShares * 1000 / 1024);
  return std::clamp(milli * 1024 / 1000, kMinCpuShares, kMaxCpuShares);
}

Json host_devices(const std::string& dev_dir) {
  Json list = Json::array();
  const int fd = open(dev_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) add_devices(fd, "/dev", 0, list);
  return list;
}

Json linux_resources(const Resources& wanted, bool privileged, const HostFacts& host) {
  Json resources = Json::object();
  // The runtime itself adds null, zero, full, random, urandom, tty, console and ptmx
  // (config-linux.md#default-devices); everything else stays closed.
  resources["devices"] = Json::array({{{"allow", privileged}, {"access", "rwm"}}});
  resources["cpu"] = cpu(wanted);
  if (wanted.memory_limit > 0) {
    resources["memory"]["limit"] = wanted.memory_limit;
    // Memory and swap together: no swap beyond the limit. Without the controller runc would fail.
    if (host.swap_limit) resources["memory"]["swap"] = wanted.memory_limit;
  }
  resources["pids"]["limit"] = wanted.pids_limit > 0 ? wanted.pids_limit : kDefaultPids;
  Json pages = huge_page_limits(wanted, host);
  if (!pages.empty()) resources["hugepageLimits"] = std::move(pages);
  return resources;
}

}  // namespace wherry::runtime
