#pragma once
// Who may download now: a bound over all pulls, shared fairly between them.

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

// Thread-safe. A free slot goes to the waiting pull that holds the fewest, the first of equals. Who
// has held one for a slice of time while such a pull waits is asked to yield: three images that
// trickle in for hours must not keep a fourth from coming in at all.
class Slots {
 public:
  using Owner = const void*;  // names a pull

  Slots(size_t count, Duration slice) : free_(count), slice_(slice) {}

  class Hold {
   public:
    Hold(Slots& slots, Owner owner, MonoTime since)
        : slots_(&slots), owner_(owner), since_(since) {}
    Hold(Hold&& other) noexcept : slots_(other.slots_), owner_(other.owner_), since_(other.since_) {
      other.slots_ = nullptr;
    }
    Hold& operator=(Hold&&) = delete;
    ~Hold();
    // True when it is another pull's turn: keep what has arrived, let go and queue up again.
    bool must_yield() const;

   private:
    Slots* slots_;
    Owner owner_;
    MonoTime since_;
  };
  Result<Hold> take(Owner owner, const CancelToken& cancel);

 private:
  using Queue = std::list<Owner>;
  Queue::const_iterator next() const;
  size_t held_by(Owner owner) const;
  void give_back(Owner owner);

  const SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t free_;
  const Duration slice_;
  Queue waiting_;
  std::map<Owner, size_t> held_;
};

}  // namespace wherry::runtime
