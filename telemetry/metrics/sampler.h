#pragma once
// Takes a sample at each interval and hands records on, several at a time: a device's flash and its
// data plan pay for every delivery.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "telemetry/metrics/recorder.h"

namespace wherry::telemetry {

struct SamplerOptions {
  Duration interval{};  // 0: there are no samples, and no thread
  // Records wait for up to this long for others to go with. What is urgent does not.
  Duration gather{};
  // … or until there are so many bytes of them.
  size_t max_gathered = 64 << 10;
  RecorderOptions recorder;
};

class Sampler {
 public:
  using Collect = std::function<Readings()>;
  using Deliver = std::function<void(std::vector<std::string> records)>;  // oldest first

  // Both are called on the sampler's thread, `deliver` from stop() as well. The clock must outlive
  // it.
  Sampler(SamplerOptions options, const Clock& clock, Collect collect, Deliver deliver);
  ~Sampler();  // stops
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  void start();
  void stop();  // delivers what has been gathered

  // One sample, now. Of the thread, or where there is none.
  void sample();

 private:
  void run();
  void deliver();

  const SamplerOptions options_;
  const Clock& clock_;
  const Collect collect_;
  const Deliver deliver_;
  Recorder recorder_;  // this and the next three: the thread's own
  std::vector<std::string> gathered_;
  size_t gathered_bytes_ = 0;
  MonoTime gathered_since_{};
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
};

}  // namespace wherry::telemetry
