#include "agent/reconcile/plan_order.h"

#include <algorithm>

#include "base/text.h"

namespace wherry {
namespace {

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

}  // namespace wherry
