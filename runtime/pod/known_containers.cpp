#include "runtime/pod/known_containers.h"

#include <algorithm>
#include <set>

namespace wherry::runtime {

void KnownContainers::add(const std::string& id, const std::string& pod, const std::string& name) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[id];
  entry.pod = pod;
  entry.name = name;
  entry.added = ++counter_;
}

void KnownContainers::erase(const std::string& id) {
  const std::lock_guard lock(mutex_);
  entries_.erase(id);
}

uint64_t KnownContainers::begin_look() {
  const std::lock_guard lock(mutex_);
  return ++counter_;
}

void KnownContainers::finish_look(uint64_t look, const std::vector<PodStatus>& pods) {
  std::set<std::string> seen;
  const std::lock_guard lock(mutex_);
  for (const PodStatus& pod : pods) {
    for (const ContainerStatus& container : pod.containers) {
      seen.insert(container.id);
      Entry& entry = entries_[container.id];
      entry.pod = pod.name;
      entry.name = container.name;
    }
  }
  std::erase_if(entries_, [&](const auto& item) {
    return item.second.added < look && seen.count(item.first) == 0;
  });
  complete_ = true;
}

bool KnownContainers::may_exist(const std::string& pod, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return !complete_ || std::any_of(entries_.begin(), entries_.end(), [&](const auto& item) {
    return item.second.pod == pod && item.second.name == name;
  });
}

std::string KnownContainers::pod_of(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  return found == entries_.end() ? std::string() : found->second.pod;
}

void KnownContainers::note_oom(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found != entries_.end()) found->second.oom = true;
}

bool KnownContainers::had_oom(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.oom;
}

}  // namespace wherry::runtime
