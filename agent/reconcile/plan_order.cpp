#include "agent/reconcile/plan_order.h"

#include <algorithm>

#include "agent/reconcile/wake.h"
#include "base/text.h"

namespace wherry {
namespace {

// To stop and to start keeps about two of them busy, and whoever shares them is down for longer.
constexpr int64_t kCpuOfATurn = 2000;  // thousandths of a core
constexpr Duration kTurn = std::chrono::seconds(1);

std::vector<std::string> dependencies_of(const PlanInput& input, const std::string& name) {
  const auto wanted = input.desired.find(name);
  if (wanted != input.desired.end()) return wanted->second->depends_on;
  const auto memory = input.memory.find(name);
  if (memory != input.memory.end() && !memory->second.source.empty()) {
    return memory->second.depends_on;
  }
  const auto pod = input.observed.find(name);
  return pod == input.observed.end() ? std::vector<std::string>()
                                     : split(pod_label(pod->second, kDependsLabel), ',');
}

bool depends(const PlanInput& input, const std::string& name, const std::string& on,
             std::set<std::string>& visited) {
  if (!visited.insert(name).second) return false;
  const auto needs = dependencies_of(input, name);
  return std::any_of(needs.begin(), needs.end(), [&](const std::string& need) {
    return need == on || depends(input, need, on, visited);
  });
}

}  // namespace

std::string blocking_dependent(const PlanInput& input, const std::string& name,
                               const std::function<bool(const std::string&)>& goes_down) {
  for (const auto& [other, pod] : input.observed) {
    if (other == name) continue;
    std::set<std::string> there, back;
    if (!depends(input, other, name, there) || depends(input, name, other, back)) continue;
    if (goes_down(other)) return other;
  }
  return {};
}

void take_turns(const PlanInput& input, Plan& plan) {
  const size_t at_once = std::max<int64_t>(1, input.capacity.has.cpu_milli / kCpuOfATurn);
  size_t down = 0;
  std::optional<MonoTime> end;
  for (const auto& [name, memory] : input.memory) {
    if (!memory.stopped_from || *memory.stopped_from + kTurn <= input.now) continue;
    if (!input.desired.contains(name)) continue;
    const auto pod = input.observed.find(name);
    const bool up = pod != input.observed.end() && !running_ids(pod->second).empty();
    if (up && !memory.kill_at && !memory.busy) continue;
    ++down;
    earlier(end, *memory.stopped_from + kTurn);
  }
  for (auto& [name, verdict] : plan.workloads) {
    if (!verdict.action || verdict.action->kind != ActionKind::Terminate) continue;
    const auto memory = input.memory.find(name);
    const bool begun = memory != input.memory.end() && memory->second.kill_at;
    if (begun || verdict.reason != "Replacing") continue;
    if (down++ < at_once) continue;
    verdict.action.reset();
    if (end) earlier(plan.wake_at, *end);
  }
}

}  // namespace wherry
