#pragma once
// The PID namespaces of Pods whose containers share their processes. Each has a first process of
// ours, wherry-pause, which outlives the agent; where somebody kills it, the kernel kills the Pod's
// containers, and prepare() makes another.

#include <string>
#include <vector>

#include "base/result.h"

namespace wherry::runtime {

class SharedPids {
 public:
  // `directory`: on a file system that a reboot empties. `program`: wherry-pause, absolute.
  SharedPids(std::string directory, std::string program);

  // Makes the namespace of `pod` where there is none that lives. `netns`: the Pod's, or empty.
  // `cgroups`: directories the first process is moved to, made where they are missing; best effort.
  Status prepare(const std::string& pod, const std::string& netns,
                 const std::vector<std::string>& cgroups);
  // For an OCI specification: where the namespace is mounted.
  std::string path(const std::string& pod) const { return directory_ + "/" + pod; }
  // Kills what is in the namespace and waits for its end, at most 10 s. Missing: success.
  Status remove(const std::string& pod);
  // Pods that have anything here.
  Result<std::vector<std::string>> list() const;

 private:
  std::string note(const std::string& pod) const { return path(pod) + kNote; }
  // The first process; 0 where it has ended.
  int first_process(const std::string& pod) const;
  Status adopt(const std::string& pod, int pid, const std::vector<std::string>& cgroups);

  static constexpr const char* kNote = ".pid";  // no Pod's name has a dot
  std::string directory_;
  std::string program_;
};

}  // namespace wherry::runtime
