#pragma once
// A value of the tree as JSON that means the same to the readers of objects. Private to this room
// and its tests.

#include <nlohmann/json_fwd.hpp>

#include "agent/manifest/node.h"

namespace wherry::manifest {

// Whole numbers in decimal and permission bits are numbers; other numbers (1_0, .5) are quantities,
// which may as well be strings.
nlohmann::ordered_json to_json(const Node& node);

}  // namespace wherry::manifest
