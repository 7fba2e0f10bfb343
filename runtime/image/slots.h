#pragma once
// Who may download now: a bound over all pulls, shared fairly between registries and pulls.

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace wherry::runtime {

// Thread-safe. A free slot goes to the registry that holds the fewest, of equals to the one whose
// last turn is the longest ago; there to the pull that holds the fewest, the first of equals. Who
// has held one for a slice of time while another with fewer waits is asked to yield: images that
// trickle in for hours, however many, must not keep one from elsewhere from coming in. Who has held
// one for `silent` without a byte, such as at a server that does not answer, lends it to others
// until bytes come.
class Slots {
 public:
  struct Owner {
    const void* pull;      // names it
    std::string registry;  // that it is from
  };

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
  Result<Hold> take(const Owner& owner, const CancelToken& cancel);

 private:
  using Queue = std::list<Owner>;
  struct Registry {
    size_t held = 0;     // slots
    size_t waiting = 0;  // downloads
    uint64_t turn = 0;   // when it last got a slot, counted in slots; 0: not while it is known
  };
  using Registries = std::map<std::string, Registry>;
  Queue::const_iterator next() const;
  size_t held_by(const void* pull) const;
  size_t held_for(const std::string& registry) const;
  Status wait_for_one(const Owner& owner, const CancelToken& cancel,
                      std::unique_lock<std::mutex>& lock);
  std::optional<MonoTime> lend();
  void count(const Owner& owner, int change);
  void forget_idle(Registries::iterator registry);

  const SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t free_;
  const Duration slice_, silent_;
  Queue waiting_;
  std::list<Entry> entries_;
  std::map<const void*, size_t> held_;  // by pull
  Registries registries_;               // that hold a slot or wait for one
  uint64_t turns_ = 0;
};

}  // namespace wherry::runtime
