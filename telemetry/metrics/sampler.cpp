#include "telemetry/metrics/sampler.h"

#include <algorithm>
#include <utility>

#include "base/executor.h"

namespace wherry::telemetry {

Sampler::Sampler(SamplerOptions options, const Clock& clock, Collect collect, Deliver deliver)
    : options_(std::move(options)),
      clock_(clock),
      collect_(std::move(collect)),
      deliver_(std::move(deliver)),
      recorder_(options_.recorder) {}

Sampler::~Sampler() { stop(); }

void Sampler::start() {
  if (options_.interval <= Duration::zero() || thread_.joinable()) return;
  thread_ = std::thread([this] { run(); });
}

void Sampler::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  deliver();
}

void Sampler::run() {
  name_this_thread("telemetry");
  MonoTime next = clock_.now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    sample();
    // A device that slept does not make up for what it missed.
    next = std::max(next + options_.interval, clock_.now());
    lock.lock();
    changed_.wait_for(lock, next - clock_.now(), [this] { return stopping_; });
  }
}

void Sampler::sample() {
  const MonoTime now = clock_.now();
  std::optional<Record> record = recorder_.take(collect_(), now, clock_.wall());
  const bool urgent = record && record->urgent;
  if (record) {
    if (gathered_.empty()) gathered_since_ = now;
    gathered_bytes_ += record->json.size();
    gathered_.push_back(std::move(record->json));
  }
  if (gathered_.empty()) return;
  const bool long_enough = now - gathered_since_ >= options_.gather;
  if (urgent || long_enough || gathered_bytes_ >= options_.max_gathered) deliver();
}

void Sampler::deliver() {
  if (gathered_.empty()) return;
  gathered_bytes_ = 0;
  deliver_(std::exchange(gathered_, {}));
}

}  // namespace wherry::telemetry
