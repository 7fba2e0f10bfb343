#pragma once
// Who may download now: a bound over all pulls, shared fairly between them.

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

// Thread-safe. A free slot goes to the waiting pull that holds the fewest, the first of equals. Who
// has held one for a slice of time while such a pull waits is asked to yield: three images that
// trickle in for hours must not keep a fourth from coming in at all. Who has held one for `silent`
// without a byte, such as at a server that does not answer, lends it to others until bytes come.
class Slots {
 public:
  using Owner = const void*;  // names a pull

  Slots(size_t count, Duration slice, Duration silent = std::chrono::seconds(1))
      : free_(count), slice_(slice), silent_(silent) {}

  struct Entry {
    Owner owner;
    MonoTime since;
    bool used = false;  // bytes have come
    bool lent = false;
  };

  class Hold {
   public:
    Hold(Slots& slots, std::list<Entry>::iterator entry) : slots_(&slots), entry_(entry) {}
    Hold(Hold&& other) noexcept : slots_(other.slots_), entry_(other.entry_) {
      other.slots_ = nullptr;
    }
    Hold& operator=(Hold&&) = delete;
    ~Hold();
    // Bytes have come: waits for a slot where this one was lent meanwhile.
    Status keep(const CancelToken& cancel) const;
    // True when it is another pull's turn: keep what has arrived, let go and queue up again.
    bool must_yield() const;

   private:
    Slots* slots_;
    std::list<Entry>::iterator entry_;
  };
  Result<Hold> take(Owner owner, const CancelToken& cancel);

 private:
  using Queue = std::list<Owner>;
  Queue::const_iterator next() const;
  size_t held_by(Owner owner) const;
  Status wait_for_one(Owner owner, const CancelToken& cancel, std::unique_lock<std::mutex>& lock);
  std::optional<MonoTime> lend();
  void count(Owner owner, int change);

  const SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t free_;
  const Duration slice_, silent_;
  Queue waiting_;
  std::list<Entry> entries_;
  std::map<Owner, size_t> held_;
};

}  // namespace wherry::runtime
