#include "base/backoff.h"

#include <algorithm>
#include <sys/random.h>

namespace wherry {

Duration Backoff::delay(uint32_t failures, double random) const {
  if (failures == 0) return Duration::zero();
  Duration full = first;
  // 63 doublings take one nanosecond past any cap.
  const uint32_t doublings = std::min<uint32_t>(failures - 1, 63);
  for (uint32_t i = 0; i < doublings && full < cap; ++i) full = full > cap / 2 ? cap : full * 2;
  full = std::min(full, cap);
  const auto whole = static_cast<double>(full.count());
  const double cut = whole * std::clamp(jitter * random, 0.0, 1.0);
  return cut < whole ? full - Duration(static_cast<int64_t>(cut)) : Duration::zero();
}

double random_unit() {
  uint64_t bits = 0;
  while (getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
  }
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

}  // namespace wherry
