#include "base/cancel.h"

#include <algorithm>

namespace wherry {

void CancelToken::cancel() {
  const std::shared_ptr<State> state = state_;  // a callback may destroy this token
  std::unique_lock lock(state->mutex);
  if (state->cancelled.exchange(true)) return;
  state->changed.notify_all();
  state->running_on = std::this_thread::get_id();
  while (!state->callbacks.empty()) {
    std::shared_ptr<Callback> callback = std::move(state->callbacks.front());
    state->callbacks.pop_front();
    state->running = callback.get();
    lock.unlock();
    (*callback)();
    callback.reset();  // what it holds may call back: not under the lock
    lock.lock();
    state->running = nullptr;
    state->changed.notify_all();
  }
}

bool CancelToken::wait_for(Duration timeout) const {
  // A deadline beyond what the clock can count would wrap into the past.
  const Duration bounded = std::min<Duration>(timeout, std::chrono::hours(24 * 365));
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, bounded, [this] { return cancelled(); });
}

std::shared_ptr<void> CancelToken::on_cancel(std::function<void()> callback) const {
  auto held = std::make_shared<Callback>(std::move(callback));
  {
    const std::lock_guard lock(state_->mutex);
    if (!cancelled()) {
      state_->callbacks.push_back(held);
      Callback* const address = held.get();
      return {address,
              [held = std::move(held), state = state_](void*) { unregister(*state, held); }};
    }
  }
  (*held)();
  return nullptr;
}

void CancelToken::unregister(State& state, const std::shared_ptr<Callback>& callback) {
  std::unique_lock lock(state.mutex);
  state.callbacks.remove(callback);
  if (state.running_on == std::this_thread::get_id())
    return;  // from within: it cannot wait for itself
  state.changed.wait(lock, [&] { return state.running != callback.get(); });
}

}  // namespace wherry
