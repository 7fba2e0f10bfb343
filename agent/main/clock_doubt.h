#pragma once
// Can the wall clock be relied on? What runs by schedule depends on it, and nothing else does.

#include <string>

#include "base/clock.h"

namespace wherry {

// Why not, for people; "" where it can: the kernel says that something keeps it synchronised (NTP,
// PTP, GPS …), or it was set from a real-time clock at boot and is not before this version was
// made.
std::string clock_doubt(WallTime now);

}  // namespace wherry
