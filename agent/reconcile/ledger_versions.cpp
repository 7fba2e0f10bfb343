// Which version of a workload stands in for the wanted one until that can start.

#include <algorithm>

#include "agent/reconcile/ledger.h"

namespace wherry {

SpecPtr Ledger::spec_of(const std::string& name, const std::string& hash) const {
  const auto wanted = desired_.find(name);
  if (wanted != desired_.end() && wanted->second->pod.hash == hash) return wanted->second;
  const auto known = memory_.find(name);
  if (known == memory_.end()) return nullptr;
  const SpecPtr& previous = known->second.previous;
  return previous && previous->pod.hash == hash ? previous : nullptr;
}

void Ledger::offer(const std::vector<WorkloadSpec>& earlier) {
  for (const WorkloadSpec& workload : earlier) {
    offered_[workload.name()].push_back(with_pod_labels(workload));
  }
}

// That of the Pod that is there.
void Ledger::adopt_offered(const std::string& name) {
  const auto offers = offered_.find(name);
  if (offers == offered_.end()) return;
  const std::string& hash = observed_.at(name).hash;
  if (spec_of(name, hash)) return;
  const auto found = std::find_if(offers->second.rbegin(), offers->second.rend(),
                                  [&](const SpecPtr& spec) { return spec->pod.hash == hash; });
  if (found != offers->second.rend()) memory_[name].previous = *found;
}

// Now it is known of which workloads nothing is there: their last version may have been cut off
// while it was started again, and it is better than none.
void Ledger::close_offers() {
  if (offers_closed_ || !all_looked_ || !wanted_once_) return;
  offers_closed_ = true;
  for (auto& [name, versions] : std::exchange(offered_, {})) {
    const auto wanted = desired_.find(name);
    if (observed_.contains(name) || wanted == desired_.end()) continue;
    const SpecPtr& last = versions.back();
    if (last->pod.hash != wanted->second->pod.hash) memory_[name].previous = last;
  }
}

std::vector<std::string> Ledger::find_same_images() {
  std::vector<std::string> found;
  for (const auto& [name, spec] : desired_) {
    WorkloadMemory& memory = memory_.at(name);
    const auto pod = observed_.find(name);
    if (!memory.previous || pod == observed_.end()) continue;
    if (spec->owner.kind == OwnerKind::Job) continue;  // each attempt is to run
    const std::string before = pod->second.hash;
    if (before == spec->pod.hash || before != memory.previous->pod.hash) continue;
    if (memory.busy || memory.kill_at || memory.evicting) continue;
    if (!runs_already(*spec, *memory.previous, pod->second, digests_, memory.pulled)) continue;
    if (memory.run_hash.empty()) memory.run_hash = before;
    memory.written_hash = spec->pod.hash;
    unsaved_hashes_.insert(name);
    if (memory.written_hash == memory.run_hash) forget_same_images(name);
    pod->second.hash = spec->pod.hash;
    if (memory.prepared_hash == before) memory.prepared_hash = spec->pod.hash;
    for (auto& [container, past] : memory.containers) {
      if (past.hash != before) continue;
      past.hash = spec->pod.hash;
      save(name, container);
    }
    memory.previous.reset();
    found.push_back(name);
  }
  return found;
}

void Ledger::know_by_document(runtime::PodStatus& pod) {
  const WorkloadMemory& memory = memory_[pod.name];
  if (memory.run_hash.empty() || pod.hash.empty()) return;  // empty: it is not clear which it bears
  if (pod.hash == memory.run_hash) {
    pod.hash = memory.written_hash;
  } else {
    forget_same_images(pod.name);
  }
}

void Ledger::forget_same_images(const std::string& name) {
  const auto known = memory_.find(name);
  if (known == memory_.end() || known->second.written_hash.empty()) return;
  known->second.written_hash.clear();
  known->second.run_hash.clear();
  unsaved_hashes_.insert(name);
}

std::optional<std::set<DocumentVersion>> Ledger::needed_versions() const {
  if (!offers_closed_) return std::nullopt;
  std::set<DocumentVersion> needed;
  for (const auto& [name, memory] : memory_) {
    if (memory.previous) needed.emplace(memory.previous->source, memory.previous->revision);
  }
  return needed;
}

}  // namespace wherry
