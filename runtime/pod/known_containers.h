#pragma once
// What we remember of our containers between two looks at containerd. Only hints: to name the Pod
// in an event, to skip a question whose answer is known, to keep that there was an OOM event.
// Thread-safe.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/types.h"

namespace wherry::runtime {

class KnownContainers {
 public:
  void add(const std::string& id, const std::string& pod, const std::string& name);
  void erase(const std::string& id);
  // A complete look begins; the number goes to finish_look, which forgets what was neither seen nor
  // added since.
  uint64_t begin_look();
  void finish_look(uint64_t look, const std::vector<PodStatus>& pods);

  // False only where it is known that there is no container of this name.
  bool may_exist(const std::string& pod, const std::string& name) const;
  std::string pod_of(const std::string& id) const;  // empty where it is not known
  void note_oom(const std::string& id);
  bool had_oom(const std::string& id) const;

 private:
  struct Entry {
    std::string pod;
    std::string name;
    uint64_t added = 0;
    bool oom = false;
  };

  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  uint64_t counter_ = 0;
  bool complete_ = false;
};

}  // namespace wherry::runtime
