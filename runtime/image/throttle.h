#pragma once
// A limit on bytes per second over all downloads together.

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

// Thread-safe. Who has received bytes waits here until they are paid for, and does not read from
// its socket meanwhile: TCP then slows the sender down.
class Throttle {
 public:
  // `limit` in bytes per second; 0: none.
  explicit Throttle(int64_t limit) : limit_(limit) {}
  void set_limit(int64_t limit);  // those that wait notice within a second
  int64_t limit() const { return limit_; }

  // What the downloads of one pull share: only one of them waits in the queue of all, so that a
  // pull with many layers gets no more than one with a single layer.
  class Share {
   public:
    explicit Share(Throttle& throttle) : throttle_(throttle) {}
    // Cancelled at once when the token is.
    Status pay(int64_t bytes, const CancelToken& cancel);

   private:
    Throttle& throttle_;
    std::mutex turn_;
  };

 private:
  MonoTime reserve(int64_t bytes, int64_t limit);

  const SystemClock clock_;
  std::atomic<int64_t> limit_;
  std::mutex mutex_;
  MonoTime paid_until_{};  // when everything received so far is paid for
};

}  // namespace wherry::runtime
