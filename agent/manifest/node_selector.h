#pragma once
// Which Pods are for this device. Private to this room.

#include <string>

#include "agent/manifest/items.h"

namespace wherry::manifest {

// Why a Pod is not for this device; "" where it is.
std::string mismatch(const PodItem& pod, const DeviceFacts& facts);
// Can both be on one device? Only in doubt where no particular device is meant.
bool may_meet(const PodItem& a, const PodItem& b);

}  // namespace wherry::manifest
