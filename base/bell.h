#pragma once
// Tells those who wait that something has changed, without saying what.

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "base/cancel.h"

namespace wherry {

// Thread-safe.
class Bell {
 public:
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      ++rung_;
    }
    changed_.notify_all();
  }
  uint64_t count() const {
    const std::lock_guard lock(mutex_);
    return rung_;
  }
  // Until it has rung more often than `seen`, or `cancel` fires; how often it has rung.
  uint64_t wait(uint64_t seen, const CancelToken& cancel) const {
    const auto woken = cancel.on_cancel([this] {
      const std::lock_guard lock(mutex_);  // so that it is not between its look and its sleep
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return rung_ > seen || cancel.cancelled(); });
    return rung_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  uint64_t rung_ = 0;
};

}  // namespace wherry
