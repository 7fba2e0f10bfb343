#include "base/executor.h"

#include <pthread.h>
#include <system_error>
#include <utility>

namespace wherry {

void name_this_thread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

Executor::Executor(std::string name, size_t threads, size_t bound)
    : name_(std::move(name)), limit_(threads), bound_(bound) {}

Executor::~Executor() {
  std::deque<std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(jobs_);
  }
  dropped.clear();  // what the jobs hold may call back: not under the lock
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Executor::post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || jobs_.size() >= bound_) return false;
    jobs_.push_back(std::move(job));
    if (idle_ < jobs_.size() && threads_.size() < limit_ && !start_thread() && threads_.empty()) {
      jobs_.pop_back();
      return false;
    }
  }
  wake_.notify_one();
  return true;
}

bool Executor::start_thread() {
  try {
    threads_.emplace_back([this, index = threads_.size()] { run(index); });
    return true;
  } catch (const std::system_error&) {  // no more threads to be had: the others do the work
    return false;
  }
}

void Executor::run(size_t index) {
  name_this_thread(name_ + "-" + std::to_string(index));
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    --idle_;
    if (stopping_) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace wherry
