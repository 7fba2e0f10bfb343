#pragma once
// Why a workload is another than before, in words that its document has.

#include <map>
#include <string>
#include <vector>

#include "agent/manifest/document.h"

namespace wherry {

// Fields that decide a restart (see spec_hash) and differ, as "containers[web].image" or
// "hostNetwork"; never a value. Empty only where the hashes are the same.
std::vector<std::string> spec_differences(const WorkloadSpec& before, const WorkloadSpec& after);

// By name of a Pod, or Kind/name of the object that makes it: the ConfigMaps and Secrets that it
// takes something from by the documents of `after`, and that are others than in those of `before`,
// each with the keys that differ: "ConfigMap/settings (level, mode)".
std::map<std::string, std::vector<std::string>> config_differences(
    const std::vector<Source>& before, const std::vector<Source>& after);

}  // namespace wherry
