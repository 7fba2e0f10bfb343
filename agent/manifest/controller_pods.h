#pragma once
// From the template of an owner to the Pods it makes. Private to this room.

#include <string>
#include <vector>

#include "agent/manifest/items.h"

namespace wherry::manifest {

// All replicas of a device: a few lines of text can ask for very many.
inline constexpr size_t kMaxMadePods = 1000;

// `name` where there is one, else name-0 … name-(n-1). Of a Deployment, DaemonSet or StatefulSet.
std::vector<std::string> replica_names(const ControllerItem& item);
PodItem replica(const ControllerItem& item, const std::string& name);

// Of a Job or CronJob: with marks for what instantiate() fills in.
PodItem job_template(const ControllerItem& item);
// Could it make a Pod of that name, some day?
bool may_make(const ControllerItem& item, std::string_view name);

}  // namespace wherry::manifest
