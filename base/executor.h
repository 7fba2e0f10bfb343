#pragma once
// A small pool of threads with a bounded queue.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace wherry {

// Jobs run in the order they were posted, several at once. Thread-safe.
// The destructor drops jobs that have not begun and waits for those that have.
class Executor {
 public:
  // `name` (at most 12 characters) shows in ps and gdb. `bound`: queued jobs beyond it are refused.
  // Threads are started on first use.
  Executor(std::string name, size_t threads, size_t bound);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // False when the queue is full, the pool is stopping or the system gives no thread; the job is
  // then not run. A job must not throw.
  [[nodiscard]] bool post(std::function<void()> job);

 private:
  bool start_thread();
  void run(size_t index);

  const std::string name_;
  const size_t limit_;
  const size_t bound_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Names the calling thread for ps, gdb and perf (at most 15 characters are kept).
void name_this_thread(const std::string& name);

}  // namespace wherry
