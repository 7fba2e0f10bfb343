#include "runtime/pod/cgroups.h"

#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <set>
#include <sstream>
#include <unistd.h>

namespace wherry::runtime {
namespace {

// The value of `key` in a file of "key value" lines; 0 where there is none.
unsigned long counter(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  unsigned long value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

// The number that a file holds; nothing where there is no such file.
std::optional<int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

bool write_number(const std::string& path, int64_t value) {
  if (access(path.c_str(), F_OK) != 0) return false;  // an ofstream would try to make it
  std::ofstream file(path);
  file << value << std::flush;
  return file.good();
}

// Mount point and file system type of a line of mountinfo (proc(5)); octal escapes are left alone.
bool is_cgroup(const std::string& line, std::string& mount_point) {
  const size_t dash = line.find(" - ");
  if (dash == std::string::npos) return false;
  std::istringstream before(line.substr(0, dash));
  std::string skipped;
  before >> skipped >> skipped >> skipped >> skipped >> mount_point;
  std::istringstream after(line.substr(dash + 3));
  std::string type;
  after >> type;
  return type == "cgroup" || type == "cgroup2";
}

}  // namespace

Cgroups::Cgroups(const std::string& mountinfo) {
  std::ifstream file(mountinfo);
  std::string line;
  std::string mount_point;
  while (std::getline(file, line)) {
    if (is_cgroup(line, mount_point)) mounts_.push_back(mount_point);
  }
}

bool Cgroups::oom_killed(const std::string& path) const {
  for (const std::string& mount : mounts_) {
    if (counter(mount + path + "/memory.events", "oom_kill") > 0) return true;       // version 2
    if (counter(mount + path + "/memory.oom_control", "oom_kill") > 0) return true;  // version 1
  }
  return false;
}

std::vector<std::string> Cgroups::directories(const std::string& path) const {
  std::vector<std::string> all;
  for (const std::string& mount : mounts_) all.push_back(mount + path);
  return all;
}

bool Cgroups::set_cpu_shares(const std::string& path, int64_t shares) const {
  // As runc and Kubernetes translate them: [2, 262144] to [1, 10000].
  const int64_t weight = 1 + (std::clamp<int64_t>(shares, 2, 262'144) - 2) * 9999 / 262'142;
  return std::any_of(mounts_.begin(), mounts_.end(), [&](const std::string& mount) {
    return write_number(mount + path + "/cpu.shares", shares) ||
           write_number(mount + path + "/cpu.weight", weight);
  });
}

std::optional<int64_t> Cgroups::working_set(const std::string& path) const {
  for (const std::string& mount : mounts_) {
    const std::string memory = mount + path + "/memory.";
    auto used = number_in(memory + "current");               // version 2
    if (!used) used = number_in(memory + "usage_in_bytes");  // version 1
    if (!used) continue;
    const auto files = std::max(counter(memory + "stat", "inactive_file"),         // version 2
                                counter(memory + "stat", "total_inactive_file"));  // version 1
    return std::max<int64_t>(0, *used - static_cast<int64_t>(files));
  }
  return {};
}

int64_t Cgroups::processes(const std::string& path) const {
  for (const std::string& mount : mounts_) {
    if (const auto number = number_in(mount + path + "/pids.current")) return *number;
  }
  return 0;
}

void Cgroups::remove_empty(const std::string& path) const {
  for (const std::string& mount : mounts_) rmdir((mount + path).c_str());
}

std::vector<std::string> Cgroups::children(const std::string& path) const {
  std::set<std::string> names;
  for (const std::string& mount : mounts_) {
    DIR* directory = opendir((mount + path).c_str());
    if (directory == nullptr) continue;
    while (const dirent* entry = readdir(directory)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.insert(entry->d_name);
    }
    closedir(directory);
  }
  return {names.begin(), names.end()};
}

}  // namespace wherry::runtime
