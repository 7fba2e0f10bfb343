#include "runtime/pod/cgroups.h"

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
