#pragma once
// Bytes per second over the last few seconds.

#include <cstdint>
#include <deque>
#include <utility>

#include "base/clock.h"

namespace wherry::runtime {

class RateMeter {
 public:
  // `total` as counted at `now`; both never go back. 0 until half a second has been seen.
  int64_t add(MonoTime now, int64_t total) {
    constexpr Duration kWindow = std::chrono::seconds(4);
    constexpr Duration kLeast = std::chrono::milliseconds(500);
    seen_.emplace_back(now, total);
    while (seen_.size() > 2 && now - seen_[1].first >= kWindow) seen_.pop_front();
    const Duration span = now - seen_.front().first;
    if (span < kLeast) return 0;
    const double seconds = static_cast<double>(span.count()) / 1e9;
    return static_cast<int64_t>(static_cast<double>(total - seen_.front().second) / seconds);
  }

 private:
  std::deque<std::pair<MonoTime, int64_t>> seen_;  // a few a second
};

}  // namespace wherry::runtime
