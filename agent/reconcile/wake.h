#pragma once

#include <optional>

#include "base/clock.h"

namespace wherry {

// Keeps the earlier one; none is never.
inline void earlier(std::optional<MonoTime>& wake, std::optional<MonoTime> at) {
  if (at && (!wake || *at < *wake)) wake = at;
}

}  // namespace wherry
