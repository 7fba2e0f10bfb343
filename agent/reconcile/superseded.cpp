// Documents that others have replaced, for as long as Pods of theirs are needed.

#include <iterator>

#include "agent/reconcile/document_desk.h"
#include "base/log.h"

namespace wherry {

std::vector<WorkloadSpec> DocumentDesk::superseded_workloads() {
  std::vector<WorkloadSpec> workloads;
  const auto stored = records_.superseded_documents();
  if (!stored) {
    log_warn("what ran before the last documents is not known", {{"error", stored.error().full()}});
    return workloads;
  }
  for (const StoredDocument& document : *stored) {
    superseded_.emplace(document.source, document.revision);
    if (find(document.source) == nullptr) continue;
    Document parsed = parse_desired_state(document.payload);
    if (!parsed.valid()) continue;
    secrets_.add_secrets(parsed);
    // With what else is wanted now: where that has changed, too, the Pod that was left is another.
    Merged merged = merge_with({{document.source, &parsed}}, manifests_);
    std::move(merged.workloads.begin(), merged.workloads.end(), std::back_inserter(workloads));
  }
  return workloads;
}

Status DocumentDesk::forget_superseded(const std::set<DocumentVersion>& needed) {
  Status all;
  std::erase_if(superseded_, [&](const DocumentVersion& version) {
    if (!all || needed.contains(version)) return false;
    all = records_.forget_superseded(version.first, version.second);
    return bool(all);
  });
  return all;
}

}  // namespace wherry
