#pragma once
// Where the reconciler's work is done: kinds of work that must not wait for each other.

#include <condition_variable>
#include <functional>
#include <mutex>

#include "base/clock.h"
#include "base/executor.h"

namespace wherry {

enum class Lane {
  Look,      // observing; one at a time
  Work,      // actions on workloads
  Pull,      // downloads, which may take hours; many at once, they share what the link gives
  Local,     // what is laid ready on the device: never behind a download
  Drop,      // what pulls left that nobody wants any more: never behind an archive that is read
  Tidy,      // removing images, which waits for containerd's collector; one at a time
  Services,  // rules of the packet filter; one at a time
};

class Lanes {
 public:
  virtual ~Lanes() = default;
  // False when the lane is full; the job is then not run.
  [[nodiscard]] virtual bool post(Lane lane, std::function<void()> job) = 0;
};

// Threads are started when they are first needed.
class ThreadLanes final : public Lanes {
 public:
  ThreadLanes(size_t work_threads, size_t pull_threads);
  bool post(Lane lane, std::function<void()> job) override;
  // Waits until nothing runs, at most `timeout`; false when something still does.
  bool wait_idle(Duration timeout);

 private:
  void finished();
  Executor& executor(Lane lane);

  std::mutex mutex_;
  std::condition_variable idle_;
  size_t running_ = 0;
  Executor look_, work_, pull_, local_, drop_, tidy_,
      services_;  // last: their threads use what is above
};

}  // namespace wherry
