// What the reconciler has done about images: pulling, keeping, giving up.

#include <algorithm>
#include <utility>

#include "agent/reconcile/reconciler.h"
#include "base/log.h"
#include "base/quantity.h"
#include "runtime/image/reference.h"

namespace wherry {

// Before anything is handed out: what is wanted from now on must not go any more.
void Reconciler::keep_images() {
  book_.observed(ledger_.observed(), parts_.clock.wall());
  const std::set<std::string> unread = desk_.unread_sources();
  std::vector<ControllerImages> controllers;
  for (const ControllerSpec& each : desk_.merged().controllers) {
    controllers.push_back({each.owner.name, each.images});
  }
  book_.look_over(ledger_.input(unread, parts_.clock.now()), controllers);
  const bool known = first_pass_done_ && may_act() && !stopping_;
  if (parts_.keeping != nullptr) {
    parts_.keeping->set(known ? book_.removable(pruning_.is_ordered())
                              : std::vector<runtime::RemovableImage>());
  }
}

void Reconciler::prune() {
  if (stopping_) return;
  if (!first_pass_done_ || !may_act()) {
    return pruning_.refuse(
        Error(Code::Unavailable, "it is not known yet which images are needed; try again"));
  }
  const MonoTime now = parts_.clock.now();
  const auto request = pruning_.next(ledger_.short_of_space(), now);
  if (request && dispatcher_.prune(*request)) pruning_.begun(now);
}

void Reconciler::pruned(const Result<runtime::PruneReport>& report) {
  pruning_.done(report);
  if (!report) {
    log_warn("images not pruned", {{"error", report.error().full()}});
    return;
  }
  for (const std::string& reference : report->fits) ledger_.pull_again(reference);
  if (report->removed.empty()) return;
  list_needed_ = true;
  ledger_.note(images_removed(*report));
}

void Reconciler::begin_pulls(const Plan& plan, MonoTime now) {
  // By registry, and of all. One that does not answer, or trickles, must leave room for others: it
  // gets no more places than it leaves free.
  std::map<std::string, size_t> busy;
  size_t free = kPullsAtOnce;
  const auto registry_of = [](const std::string& text) {
    const auto reference = runtime::parse_reference(text);
    return reference ? reference->host : std::string();
  };
  for (const auto& [reference, pull] : ledger_.pulls()) {
    if (!pull.busy) continue;
    ++busy[registry_of(reference)];
    if (free > 0) --free;
  }
  for (const std::string& reference : plan.pulls) {
    const auto known = ledger_.pulls().find(reference);
    const bool due = known == ledger_.pulls().end() ||
                     (!known->second.busy && !known->second.trouble.waits(now));
    if (!due) continue;
    size_t& own = busy[registry_of(reference)];
    if (own >= free) continue;
    if (!dispatcher_.pull(reference, ledger_.pull_credentials(reference))) continue;
    ledger_.pulling(reference);
    ++own;
    --free;
  }
}

// Where fewer pulls than before may still be continued.
void Reconciler::drop_abandoned(const Plan& plan) {
  // A source that was never heard of has begun no pull; only what could not be read may have.
  if (dropping_ || !desk_.store_status()) return;
  std::set<std::string> kept = plan.pulls;
  for (const auto& [name, spec] : ledger_.desired()) {
    const WorkloadMemory& memory = ledger_.memory().at(name);
    kept.insert(memory.missing.begin(), memory.missing.end());
    const auto pod = ledger_.observed().find(name);
    const bool runs = pod != ledger_.observed().end() && pod->second.hash == spec->pod.hash;
    if (runs || memory.images != ImagesState::Unknown) continue;
    for (const auto& need : images_of(spec->pod)) kept.insert(need.reference);
  }
  const bool fewer = !kept_pulls_ || !std::includes(kept.begin(), kept.end(), kept_pulls_->begin(),
                                                    kept_pulls_->end());
  if (fewer) dropping_ = dispatcher_.drop_abandoned({kept.begin(), kept.end()});
  if (!fewer || dropping_) kept_pulls_ = std::move(kept);
}

}  // namespace wherry
