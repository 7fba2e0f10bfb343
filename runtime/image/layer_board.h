#pragma once
// Which layers of a pull are there, which are unpacked, and who fetches what next.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "runtime/image/backend.h"

namespace wherry::runtime {

// On a fast link unpacking takes longest. It goes from the bottom up, so there a pull fetches one
// layer after the other: the lowest are there first, and the processor is left to unpacking. The
// next begins while the store verifies and syncs the one before.
struct PullPace {
  int64_t large = 64 << 20;  // bytes; a smaller image is fetched as fast as can be
  int64_t ahead = 32 << 20;  // bytes that are there for unpacking to go on with: enough
  // A link that brings less, in that time, while unpacking waits, is no fast one from then on.
  int64_t fast = 8 << 20;  // bytes
  Duration window = std::chrono::milliseconds(300);
};

// Thread-safe. Layers are named by their index, from the bottom.
class LayerBoard {
 public:
  // All must outlive it. `received` counts the bytes that have come from the registry.
  LayerBoard(const std::vector<Descriptor>& layers, const PullPace& pace,
             const std::atomic<int64_t>& received, const CancelToken& cancel);

  // The next to fetch, as soon as that is of use. The `first` thread does not wait for unpacking.
  // Empty when there is none, or after a cancel.
  std::optional<size_t> next(bool first);
  void arrived(size_t layer);  // all bytes of it, which the store has yet to verify
  void fetched(size_t layer);
  void failed(size_t layer, const Error& error);
  // Waits for a layer to be there; false after `patience`. Error: of the first that failed, or
  // Cancelled.
  Result<bool> wait_for(size_t layer, Duration patience);
  void unpacked(size_t layer);
  Status failure() const;  // of the first that failed

 private:
  bool is_over() const { return cancel_.cancelled() || next_ == layers_.size(); }
  int64_t ahead() const;
  bool is_arriving() const;
  void wait_for_use(std::unique_lock<std::mutex>& lock, bool first);

  const std::vector<Descriptor>& layers_;
  const PullPace& pace_;
  const std::atomic<int64_t>& received_;
  const CancelToken cancel_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> there_, arriving_;
  size_t next_ = 0, unpacked_ = 0;
  bool fast_ = true;
  Status failure_{};
  const std::shared_ptr<void> wake_;  // goes first
};

}  // namespace wherry::runtime
