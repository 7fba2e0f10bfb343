#pragma once
// What another thread of the agent is asked for through the mailbox.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "base/cancel.h"

namespace wherry {

// Outlives whoever waits for it: the answer may come too late. Thread-safe.
template <typename Answer>
class Awaited {
 public:
  enum class End { Answered, Cancelled, TooLate };

  void give(const Answer& answer) {
    const std::lock_guard lock(mutex_);
    answer_ = answer;
    changed_.notify_all();
  }
  // `self` owns this.
  static End wait(const std::shared_ptr<Awaited>& self, Duration patience,
                  const CancelToken& cancel) {
    const auto wake = cancel.on_cancel([self] {
      const std::lock_guard lock(self->mutex_);
      self->given_up_ = true;
      self->changed_.notify_all();
    });
    std::unique_lock lock(self->mutex_);
    const bool ended = self->changed_.wait_for(
        lock, patience, [&] { return self->answer_.has_value() || self->given_up_; });
    if (self->answer_) return End::Answered;
    return ended ? End::Cancelled : End::TooLate;
  }
  // After End::Answered.
  Answer take() {
    const std::lock_guard lock(mutex_);
    return std::move(*answer_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Answer> answer_;
  bool given_up_ = false;
};

}  // namespace wherry
