#pragma once
// Cancellation that waiting code notices at once.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace wherry {

// Copies share one state: cancel() on any copy is seen by all. Thread-safe.
class CancelToken {
 public:
  CancelToken() : state_(std::make_shared<State>()) {}

  // Runs the callbacks on this thread, oldest first. A second call does nothing and does not wait.
  void cancel();
  bool cancelled() const { return state_->cancelled.load(std::memory_order_acquire); }
  // Waits up to `timeout`; true when cancelled meanwhile. For backoff waits inside a worker.
  bool wait_for(Duration timeout) const;
  // Runs `callback` once on cancel (at once if cancelled already), on the cancelling thread and
  // with no lock held. Destroying the returned handle unregisters it: from then on the callback
  // does not run, and one in progress on another thread is waited for. A callback may drop its own
  // handle.
  std::shared_ptr<void> on_cancel(std::function<void()> callback) const;

 private:
  using Callback = std::function<void()>;
  struct State {
    std::atomic<bool> cancelled{false};
    std::mutex mutex;
    std::condition_variable changed;  // cancelled, or `running` finished
    std::list<std::shared_ptr<Callback>> callbacks;
    const Callback* running = nullptr;
    std::thread::id running_on;
  };
  static void unregister(State& state, const std::shared_ptr<Callback>& callback);

  std::shared_ptr<State> state_;
};

}  // namespace wherry
