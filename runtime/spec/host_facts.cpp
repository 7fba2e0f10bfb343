#include <charconv>
#include <cstdlib>
#include <dirent.h>
#include <string_view>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "runtime/spec/oci_spec.h"

namespace wherry::runtime {
namespace {

constexpr int kCapSysResource = 24;         // linux/capability.h
constexpr long kCgroup2Magic = 0x63677270;  // linux/magic.h

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// A bounding set (proc(5), CapBnd); everything where it cannot be read.
uint64_t bounding_set(const std::string& status) {
  constexpr std::string_view kField = "CapBnd:";
  const size_t at = status.find(kField);
  if (at == std::string::npos) return ~0ULL;
  const size_t begin = status.find_first_not_of(" \t", at + kField.size());
  uint64_t set = ~0ULL;
  if (begin != std::string::npos)
    std::from_chars(status.data() + begin, status.data() + status.size(), set, 16);
  return set;
}

// On v2 the file is absent from the root cgroup, so any first-level child is asked.
bool v2_has_swap_limit() {
  DIR* root = opendir("/sys/fs/cgroup");
  if (root == nullptr) return false;
  bool found = false;
  while (const dirent* entry = readdir(root)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    found = exists(std::string("/sys/fs/cgroup/") + entry->d_name + "/memory.swap.max");
    if (found) break;
  }
  closedir(root);
  return found;
}

bool has_hugetlb(bool cgroup_v2) {
  if (!cgroup_v2) return exists("/sys/fs/cgroup/hugetlb");
  const Result<std::string> controllers = read_file("/sys/fs/cgroup/cgroup.controllers", 4096);
  return controllers && (" " + *controllers).find(" hugetlb") != std::string::npos;
}

std::set<int64_t> kept_huge_pages() {
  std::set<int64_t> sizes;
  const std::string directory = "/sys/kernel/mm/hugepages";
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return sizes;
  while (const dirent* entry = readdir(listing)) {
    constexpr std::string_view kPrefix = "hugepages-";
    const std::string name = entry->d_name;
    if (!name.starts_with(kPrefix)) continue;
    const auto count = read_file(directory + "/" + name + "/nr_hugepages", 64);
    if (!count || std::atoll(count->c_str()) == 0) continue;
    sizes.insert(std::atoll(name.c_str() + kPrefix.size()) * 1024);
  }
  closedir(listing);
  return sizes;
}

bool is_cgroup_v2() {
  struct statfs info {};
  return statfs("/sys/fs/cgroup", &info) == 0 && info.f_type == kCgroup2Magic;
}

}  // namespace

HostFacts detect_host() {
  HostFacts facts;
  facts.cgroup_v2 = is_cgroup_v2();
  facts.swap_limit = facts.cgroup_v2 ? v2_has_swap_limit()
                                     : exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes");
  facts.hugetlb = has_hugetlb(facts.cgroup_v2);
  facts.huge_pages = kept_huge_pages();
  // What containers can have is up to containerd, which came from there. Our own is smaller under
  // systemd.
  const Result<std::string> status = read_file("/proc/1/status");
  if (status) facts.capabilities = bounding_set(*status);
  facts.can_raise_rlimits = (facts.capabilities >> kCapSysResource & 1) != 0;
  if (!facts.can_raise_rlimits) {
    // Lowering takes the same capability; what we have ourselves can be given in any case.
    const Result<std::string> own = read_file("/proc/self/oom_score_adj");
    facts.least_oom_score = own ? std::atoi(own->c_str()) : 0;
  }
  struct sysinfo info {};
  if (sysinfo(&info) == 0) {
    facts.memory_bytes = static_cast<int64_t>(info.totalram) * info.mem_unit;
  }
  const Result<std::string> apparmor = read_file("/sys/module/apparmor/parameters/enabled");
  facts.apparmor = apparmor && trim(*apparmor) == "Y";
  facts.seccomp = exists("/proc/sys/kernel/seccomp");
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) == 0 && name[0] != 0) facts.hostname = name;
  return facts;
}

}  // namespace wherry::runtime
