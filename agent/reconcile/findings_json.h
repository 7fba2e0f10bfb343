#pragma once
// Errors and warnings of documents, as all readers get them.

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "agent/manifest/document.h"

namespace wherry {

// [{"path":…,"message":…,"line":…,"column":…}]. Line and column are told only where they are known:
// documents of the fleet may be JSON.
nlohmann::ordered_json findings_json(const std::vector<Finding>& findings);

}  // namespace wherry
