#include "agent/reconcile/lanes.h"

#include <memory>
#include <utility>

namespace wherry {
namespace {

constexpr size_t kLookBound = 8;
constexpr size_t kBound = 4096;  // more workloads than any device runs; one job each

}  // namespace

ThreadLanes::ThreadLanes(size_t work_threads, size_t pull_threads)
    : look_("look", 1, kLookBound),
      work_("work", work_threads, kBound),
      pull_("pull", pull_threads, kBound),
      local_("local", 1, kLookBound),
      drop_("drop", 1, kLookBound),
      tidy_("tidy", 1, kLookBound),
      services_("services", 1, kLookBound) {}

Executor& ThreadLanes::executor(Lane lane) {
  switch (lane) {
    case Lane::Look:
      return look_;
    case Lane::Work:
      return work_;
    case Lane::Local:
      return local_;
    case Lane::Drop:
      return drop_;
    case Lane::Tidy:
      return tidy_;
    case Lane::Services:
      return services_;
    case Lane::Pull:
      break;
  }
  return pull_;
}

bool ThreadLanes::post(Lane lane, std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    ++running_;
  }
  // Counts down whether the job ran or was dropped.
  const std::shared_ptr<void> counted(
      this, [](void* self) { static_cast<ThreadLanes*>(self)->finished(); });
  return executor(lane).post([job = std::move(job), counted] { job(); });
}

void ThreadLanes::finished() {
  const std::lock_guard lock(mutex_);
  if (--running_ == 0) idle_.notify_all();
}

bool ThreadLanes::wait_idle(Duration timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [this] { return running_ == 0; });
}

}  // namespace wherry
