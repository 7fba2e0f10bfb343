#include "agent/api/rate_limit.h"

#include <algorithm>

namespace wherry {

using Seconds = std::chrono::duration<double>;

double RateLimit::left_in(const Bucket& bucket, MonoTime now) const {
  const double refilled = Seconds(now - bucket.at).count() * rate_.per_second;
  return std::min(rate_.at_once, bucket.left + refilled);
}

Duration RateLimit::until_one(double left) const {
  if (left >= 1) return Duration::zero();
  return std::chrono::ceil<Duration>(Seconds((1 - left) / rate_.per_second));
}

void RateLimit::make_room(MonoTime now) {
  if (buckets_.size() < most_keys_) return;
  buckets_.erase(
      std::max_element(buckets_.begin(), buckets_.end(), [&](const auto& a, const auto& b) {
        return left_in(a.second, now) < left_in(b.second, now);
      }));
}

Duration RateLimit::take(const std::string& key) {
  const MonoTime now = clock_.now();
  const std::lock_guard lock(mutex_);
  auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    make_room(now);
    found = buckets_.emplace(key, Bucket{rate_.at_once, now}).first;
  }
  Bucket& bucket = found->second;
  bucket.left = left_in(bucket, now);
  bucket.at = now;
  const Duration wait = until_one(bucket.left);
  if (wait == Duration::zero()) bucket.left -= 1;
  return wait;
}

void RateLimit::give_back(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = buckets_.find(key);
  if (found == buckets_.end()) return;
  found->second.left = std::min(rate_.at_once, found->second.left + 1);
}

Duration RateLimit::wait(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = buckets_.find(key);
  if (found == buckets_.end()) return Duration::zero();
  return until_one(left_in(found->second, clock_.now()));
}

}  // namespace wherry
