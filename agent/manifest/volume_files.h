#pragma once
// What a Pod's volumes hold once everything they refer to is known. Private to this room.

#include <string>

#include "agent/manifest/environment.h"

namespace wherry::manifest {

// Fills in the files of `pod`'s volumes and their hash. `budget` is what is left of
// kMaxResolvedTotal. False when it complained. Claims are looked up, no more.
bool resolve_volumes(const PodItem& item, const ConfigObjects& objects, size_t& budget,
                     const Complain& complain, runtime::PodSpec& pod);

}  // namespace wherry::manifest
