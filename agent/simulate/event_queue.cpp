#include "agent/simulate/event_queue.h"

#include <algorithm>
#include <utility>

#include "telemetry/outbox/batch.h"

namespace wherry::simulate {

void EventQueue::add(std::string record) {
  waiting_.push_back(std::move(record));
  if (waiting_.size() <= kMost) return;
  if (!dropped_) dropped_ = telemetry::Dropped{next_, 0, "QueueFull"};
  ++dropped_->count;
  ++next_;
  waiting_.pop_front();
}

std::optional<std::string> EventQueue::take() {
  if (sent_ || (!flight_ && waiting_.empty())) return std::nullopt;
  sent_ = true;
  if (flight_) return flight_;
  telemetry::Chunk chunk;
  chunk.first = next_;
  chunk.dropped = std::exchange(dropped_, std::nullopt);
  const size_t count = std::min(waiting_.size(), kMostSent);
  for (size_t i = 0; i < count; ++i) chunk.lines.add(waiting_[i]);
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
  next_ += count;
  flight_ = telemetry::batch_json("events", epoch_, chunk);
  return flight_;
}

void EventQueue::acknowledged(bool accepted) {
  if (!accepted) return;
  flight_.reset();
  sent_ = false;
}

}  // namespace wherry::simulate
