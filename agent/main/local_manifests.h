#pragma once
// The files of manifests.dir.

#include <string>

#include "agent/reconcile/mailbox.h"

namespace wherry {

// *.yaml, *.yml and *.json in name order, hidden ones left out. A missing directory holds nothing.
LocalManifests read_local_manifests(const std::string& directory);

}  // namespace wherry
