#include "telemetry/outbox/commit_queue.h"

#include <utility>

namespace wherry::telemetry {
namespace {

// A larger transaction would not be cheaper for a byte, and would keep others waiting.
constexpr size_t kGroupBytes = 1 << 20;

}  // namespace

CommitQueue::Group CommitQueue::take_group() {
  Group group;
  size_t bytes = 0;
  while (!waiting_.empty() && (group.empty() || bytes < kGroupBytes)) {
    group.push_back(waiting_.front());
    waiting_.pop_front();
    bytes += group.back()->lines.text.size();
  }
  waiting_bytes_ -= bytes;
  return group;
}

Result<Appended> CommitQueue::add(const std::string& stream, Lines lines,
                                  const Outbox::More& more) {
  AppendRequest request{stream, std::move(lines), more};
  std::unique_lock lock(mutex_);
  const size_t size = request.lines.text.size();
  if (!waiting_.empty() && waiting_bytes_ + size > max_waiting_) {
    return fail(Error(Code::ResourceExhausted, "records come faster than the disk takes them",
                      "TooMuchWaiting")
                    .with_retry_after(std::chrono::seconds(1)));
  }
  waiting_.push_back(&request);
  waiting_bytes_ += size;
  changed_.wait(lock, [&] { return request.done || !committing_; });
  if (request.done) return std::move(request.answer);
  committing_ = true;
  while (!request.done) {
    const Group group = take_group();
    lock.unlock();
    commit_(group);
    lock.lock();
    for (AppendRequest* one : group) one->done = true;
    changed_.notify_all();
  }
  committing_ = false;
  changed_.notify_all();
  return std::move(request.answer);
}

}  // namespace wherry::telemetry
