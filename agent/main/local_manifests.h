#pragma once
// The files of manifests.dir.

#include <string>
#include <vector>

#include "agent/reconcile/mailbox.h"

namespace wherry {

// *.yaml, *.yml and *.json in name order, hidden ones left out. A missing directory holds nothing.
LocalManifests read_local_manifests(const std::string& directory);
// What is in each of them.
std::vector<std::string> local_manifest_texts(const std::string& directory);

}  // namespace wherry
