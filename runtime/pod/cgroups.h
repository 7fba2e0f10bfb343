#pragma once
// The little we need of cgroups ourselves, version 1 and 2: was something killed for memory, and
// empty directories that nobody else removes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wherry::runtime {

class Cgroups {
 public:
  // `mountinfo`: /proc/self/mountinfo, or a file like it.
  explicit Cgroups(const std::string& mountinfo = "/proc/self/mountinfo");

  // True when the kernel killed a process of this cgroup for want of memory. `path` as in the OCI
  // specification, "/wherry/web/web-0". False where there is no such cgroup (any more).
  bool oom_killed(const std::string& path) const;
  // Where it is, in every hierarchy.
  std::vector<std::string> directories(const std::string& path) const;
  // Its part of the processor against its neighbours, in cpu.shares of version 1. False where the
  // kernel does not take it.
  bool set_cpu_shares(const std::string& path, int64_t shares) const;
  // Bytes of memory that cannot be taken from it without swap; nothing where it is not known.
  std::optional<int64_t> working_set(const std::string& path) const;
  // Processes and threads; 0 where there is no such cgroup.
  int64_t processes(const std::string& path) const;
  // Removes the directory in every hierarchy where it has neither processes nor children.
  void remove_empty(const std::string& path) const;
  // Names of the directories below `path`, in any hierarchy.
  std::vector<std::string> children(const std::string& path) const;

 private:
  std::vector<std::string> mounts_;  // of every hierarchy
};

}  // namespace wherry::runtime
