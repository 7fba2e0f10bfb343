#pragma once
// Group commit: who comes while a commit is under way is committed with the next one, by the first
// of those who wait.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "telemetry/outbox/outbox.h"

namespace wherry::telemetry {

struct AppendRequest {
  const std::string& stream;
  Lines lines;
  Outbox::More more;
  Result<Appended> answer{Appended{}};
  bool done = false;
};

// Thread-safe.
class CommitQueue {
 public:
  using Group = std::vector<AppendRequest*>;
  // `commit` answers every request of a group; it is called by one thread at a time.
  CommitQueue(std::function<void(const Group&)> commit, size_t max_waiting_bytes)
      : commit_(std::move(commit)), max_waiting_(max_waiting_bytes) {}

  Result<Appended> add(const std::string& stream, Lines lines, const Outbox::More& more);

 private:
  Group take_group();

  const std::function<void(const Group&)> commit_;
  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<AppendRequest*> waiting_;
  size_t waiting_bytes_ = 0;
  bool committing_ = false;
};

}  // namespace wherry::telemetry
