#include "agent/manifest/priority.h"

#include "agent/manifest/names.h"

namespace wherry::manifest {
namespace {

constexpr int64_t kMostOfClass = 1'000'000'000;  // above are those of Kubernetes itself

// A class that is there without an object.
std::optional<int64_t> built_in(std::string_view name) {
  if (name == "system-cluster-critical") return 2'000'000'000;
  if (name == "system-node-critical") return 2'000'001'000;
  return {};
}

const PriorityClassItem* class_of(const PodItem& pod, const ConfigObjects& objects) {
  if (!pod.priority_class.empty()) {
    const auto found = objects.priority_classes.find(pod.priority_class);
    return found == objects.priority_classes.end() ? nullptr : found->second;
  }
  const PriorityClassItem* chosen = nullptr;
  if (pod.priority_given) return chosen;
  // Of several that are for all others the least, as in Kubernetes.
  for (const auto& [name, item] : objects.priority_classes) {
    if (!item->for_others) continue;
    if (chosen == nullptr || item->value < chosen->value) chosen = item;
  }
  return chosen;
}

}  // namespace

void read_priority(const Cursor& spec, PodItem& pod) {
  WorkloadSpec& workload = pod.workload;
  const auto given = spec.integer_within("priority", INT32_MIN, INT32_MAX);
  const std::string_view name = spec.string("priorityClassName");
  const std::optional<int64_t> of_class = built_in(name);
  if (of_class && given && *given != *of_class) {
    spec.error_at("priority", "is not that of " + std::string(name) + " (" +
                                  std::to_string(*of_class) + "): leave one of the two out");
  }
  workload.priority = static_cast<int32_t>(given.value_or(of_class.value_or(0)));
  workload.preempts = spec.string("preemptionPolicy") != "Never";
  pod.preemption_given = !spec.string("preemptionPolicy").empty();
  pod.priority_given = given || of_class;
  if (!of_class) pod.priority_class = name;
  pod.priority_place = spec.place();
  pod.priority_place.path += name.empty() ? ".priority" : ".priorityClassName";
}

PriorityClassItem read_priority_class(const Cursor& object) {
  PriorityClassItem item;
  item.place = object.place();
  object.with("metadata", [&](const Cursor& metadata) {
    std::map<std::string, std::string> labels, annotations;
    read_metadata(metadata, false, labels, annotations);
    item.name = metadata.string("name");
    if (metadata.get("name", Kind::String) == nullptr) return;
    const std::string_view problem = dns_subdomain_problem(item.name);
    if (!problem.empty()) {
      metadata.error_at("name", std::string(problem));
    } else if (item.name.starts_with("system-")) {
      metadata.error_at("name", "names that begin with system- are those of Kubernetes itself");
    }
  });
  const auto value = object.integer_within("value", INT32_MIN, kMostOfClass);
  item.value = static_cast<int32_t>(value.value_or(0));
  item.for_others = object.boolean("globalDefault");
  item.preempts = object.string("preemptionPolicy") != "Never";
  return item;
}

bool resolve_priority(const PodItem& pod, const ConfigObjects& objects, const Complain& complain,
                      const Complain& warn, WorkloadSpec& workload) {
  const PriorityClassItem* found = class_of(pod, objects);
  if (found == nullptr) {
    if (pod.priority_class.empty()) return true;
    warn(pod.priority_place, "no document of the device has a PriorityClass \"" +
                                 shown(pod.priority_class) + "\": add it, or set priority");
    return true;
  }
  if (pod.priority_given && workload.priority != found->value) {
    complain(pod.priority_place, "PriorityClass \"" + shown(found->name) + "\" has the value " +
                                     std::to_string(found->value) + ", and priority says " +
                                     std::to_string(workload.priority) +
                                     ": leave one of the two out");
    return false;
  }
  workload.priority = found->value;
  if (!pod.preemption_given) workload.preempts = found->preempts;
  return true;
}

}  // namespace wherry::manifest
