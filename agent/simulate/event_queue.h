#pragma once
// The events of one simulated device until the broker has them: a queue in memory that makes
// Batches (docs/topics.md) and keeps what the outbox of a real device promises, a restart aside.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "telemetry/outbox/outbox.h"

namespace wherry::simulate {

// Not thread-safe.
class EventQueue {
 public:
  static constexpr size_t kMost = 256;     // records that wait; then the oldest are dropped
  static constexpr size_t kMostSent = 64;  // records of one Batch

  explicit EventQueue(std::string epoch) : epoch_(std::move(epoch)) {}

  void add(std::string record);  // a JSON object on one line
  // The Batch to send now, in flight from then on; nothing while one is, or where there is none.
  std::optional<std::string> take();
  // Of the one in flight; one that was refused goes again after the next connect.
  void acknowledged(bool accepted);
  void connection_lost() { sent_ = false; }

 private:
  const std::string epoch_;
  std::deque<std::string> waiting_;
  uint64_t next_ = 1;  // of the first that waits
  std::optional<telemetry::Dropped> dropped_;
  std::optional<std::string> flight_;
  bool sent_ = false;  // … on this connection
};

}  // namespace wherry::simulate
