#include "agent/reconcile/pull_teller.h"

#include <algorithm>
#include <utility>

namespace wherry {
namespace {

constexpr int kStep = 10;  // percent
constexpr Duration kStepsApart = std::chrono::seconds(10);
constexpr Duration kSignOfLife = std::chrono::minutes(5);

}  // namespace

bool PullTeller::due(const PullView& pull, Duration since) const {
  const auto percent = pull.percent();
  if (!percent) return false;
  const auto before = told_.find(pull.image);
  const auto told = before == told_.end() ? std::nullopt : before->second.percent();
  if (!told) return true;
  if (*percent / kStep > *told / kStep) return true;
  const bool halted = before->second.bytes_per_second > 0 && pull.bytes_per_second == 0;
  return since >= kSignOfLife && (*percent != *told || halted);
}

bool PullTeller::due(const StateView& view, MonoTime now) const {
  const Duration since = told_at_ ? now - *told_at_ : kSignOfLife;
  if (since < kStepsApart) return false;
  return std::any_of(view.workloads.begin(), view.workloads.end(), [&](const auto& workload) {
    return std::any_of(workload.pulls.begin(), workload.pulls.end(),
                       [&](const PullView& pull) { return due(pull, since); });
  });
}

void PullTeller::hold_back(StateView& view) const {
  for (WorkloadView& workload : view.workloads) {
    if (workload.pulls.empty()) continue;
    std::vector<PullView> pulls = std::move(workload.pulls);
    for (PullView& pull : pulls) {
      const auto before = told_.find(pull.image);
      pull = before == told_.end() ? PullView{pull.image} : before->second;
    }
    workload.show_pulls(std::move(pulls));
  }
}

void PullTeller::told(const StateView& view, MonoTime now) {
  std::map<std::string, PullView> fresh;
  for (const WorkloadView& workload : view.workloads) {
    for (const PullView& pull : workload.pulls) fresh[pull.image] = pull;
  }
  // Only numbers count: that a pull begins is not progress.
  if (std::any_of(fresh.begin(), fresh.end(), [](const auto& p) { return p.second.percent(); })) {
    told_at_ = now;
  }
  told_ = std::move(fresh);
}

}  // namespace wherry
