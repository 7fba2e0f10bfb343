// What the ledger knows of images: what is fetched, and what became of it.

#include <algorithm>

#include "agent/reconcile/ledger.h"

namespace wherry {
namespace {

bool uses(const WorkloadSpec& spec, const std::string& reference, runtime::PullPolicy policy) {
  const auto needs = images_of(spec.pod);
  return std::any_of(needs.begin(), needs.end(), [&](const runtime::ImageNeed& need) {
    return need.reference == reference && need.pull_policy == policy;
  });
}

}  // namespace

std::vector<runtime::RegistryCredential> Ledger::pull_credentials(
    const std::string& reference) const {
  std::vector<runtime::RegistryCredential> all;
  for (const auto& [name, spec] : desired_) {
    const auto needs = images_of(spec->pod);
    const bool wants = std::any_of(needs.begin(), needs.end(),
                                   [&](const auto& need) { return need.reference == reference; });
    if (!wants) continue;
    for (const runtime::RegistryCredential& each : spec->pod.pull_credentials) {
      if (std::find(all.begin(), all.end(), each) == all.end()) all.push_back(each);
    }
  }
  return all;
}

void Ledger::pulling(const std::string& reference) {
  PullMemory& pull = pulls_[reference];
  pull.busy = true;
  pull.progress = {};
  pull.credentials = pull_credentials(reference);
}

void Ledger::pulled(const PullResult& result, bool unreachable) {
  const std::string& reference = result.reference;
  PullMemory& pull = pulls_[reference];
  pull.busy = false;
  const bool good = result.image.has_value();
  if (good) {
    digests_[result.image->name] = result.image->digest;
    pull.trouble.clear();
  } else if (pull.credentials != pull_credentials(reference)) {
    pull.trouble.clear();  // others have come meanwhile: it is tried with them at once
    return;
  } else if (result.image.error().code() != Code::Cancelled && !unreachable) {
    // A link that breaks again and again, but brings something each time, is tried again soon.
    if (result.progressed) pull.trouble.clear();
    pull.trouble.failed(result.image.error(), "ErrImagePull", clock_.now());
  } else {
    return;
  }
  for (const auto& [name, spec] : desired_) {
    WorkloadMemory& memory = memory_[name];
    const bool missing = memory.missing.contains(reference);
    const bool always = uses(*spec, reference, runtime::PullPolicy::Always);
    const bool asks = always || uses(*spec, reference, runtime::PullPolicy::IfNotPresent);
    if (good && missing) {
      memory.missing.erase(reference);
      if (memory.missing.empty()) memory.images = ImagesState::Present;
    }
    if (good && (missing || always)) {
      event(name, "", "Normal", "Pulled", "image " + reference + " pulled");
    } else if ((asks && missing) || (always && !memory.pulled.contains(reference))) {
      event(name, "", "Warning", pull.trouble.reason, pull.trouble.message);
    }
    if (!always) continue;
    // The device must come up without its registry: what is there is run, if nothing runs yet. Any
    // other failure is tried again, as Kubernetes does: it may be meant that the old one does not.
    const auto pod = observed_.find(name);
    const bool runs = pod != observed_.end() && !running_ids(pod->second).empty();
    const bool away = !good && result.image.error().reason() == "RegistryUnavailable";
    if (good || (away && !missing && memory.images == ImagesState::Present && !runs)) {
      memory.pulled.insert(reference);
    }
  }
}

void Ledger::listed(const std::vector<runtime::Image>& images) {
  digests_.clear();
  for (const runtime::Image& image : images) digests_[image.name] = image.digest;
  // One that was not whole may be now, under the same digest.
  for (auto& [name, memory] : memory_) {
    if (memory.images == ImagesState::Missing) memory.images = ImagesState::Unknown;
  }
}

std::vector<std::string> Ledger::unwanted_pulls(const std::set<std::string>& wanted) {
  std::vector<std::string> running;
  std::erase_if(pulls_, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    if (entry.second.busy) running.push_back(entry.first);
    return !entry.second.busy;
  });
  return running;
}

std::vector<std::string> Ledger::short_of_space() const {
  std::vector<std::string> references;
  for (const auto& [reference, pull] : pulls_) {
    const bool waits = !pull.busy && pull.trouble.waits(clock_.now());
    if (waits && pull.trouble.reason == "InsufficientStorage") references.push_back(reference);
  }
  return references;
}

void Ledger::pull_again(const std::string& reference) {
  const auto pull = pulls_.find(reference);
  if (pull != pulls_.end() && !pull->second.busy) pull->second.trouble.not_before = clock_.now();
}

}  // namespace wherry
