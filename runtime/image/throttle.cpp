#include "runtime/image/throttle.h"

#include <algorithm>

namespace wherry::runtime {
namespace {

// Time that went by unused and may be caught up with: the grain of a busy device's timers.
constexpr Duration kBurst = std::chrono::milliseconds(100);
constexpr Duration kLook = std::chrono::milliseconds(500);

}  // namespace

void Throttle::set_limit(int64_t limit) {
  const std::lock_guard lock(mutex_);
  if (limit_ == limit) return;
  limit_ = limit;
  paid_until_ = {};
}

// In the order of arrival: each waits until those before it have been paid for.
MonoTime Throttle::reserve(int64_t bytes, int64_t limit) {
  const double seconds = static_cast<double>(bytes) / static_cast<double>(limit);
  const Duration cost(static_cast<int64_t>(seconds * 1e9));
  const std::lock_guard lock(mutex_);
  paid_until_ = std::max(paid_until_, clock_.now() - kBurst) + cost;
  return paid_until_;
}

Status Throttle::Share::pay(int64_t bytes, const CancelToken& cancel) {
  const int64_t limit = throttle_.limit();
  if (limit <= 0) return {};
  // Held while waiting: the others of this pull queue up here. A cancel ends all their waits.
  const std::lock_guard turn(turn_);
  if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
  const MonoTime due = throttle_.reserve(bytes, limit);
  while (true) {
    const Duration left = due - throttle_.clock_.now();
    if (left <= Duration::zero() || throttle_.limit() != limit) return {};
    if (cancel.wait_for(std::min(left, kLook))) return fail(Code::Cancelled, "cancelled");
  }
}

}  // namespace wherry::runtime
