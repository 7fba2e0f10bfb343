#pragma once
// A line of a container's log as it goes upstream: docs/logs.md.

#include <string>

#include "runtime/log/log_tail.h"

namespace wherry {

// No record is longer than this, whatever a line holds.
inline constexpr size_t kMostLogRecord = 24u << 10;  // bytes

// {"at":…,"stream":…,"message":…}, on one line; with "cut":true and "invalidUtf8":true where it is
// so.
std::string log_record(const runtime::LogLine& line);

}  // namespace wherry
