#pragma once
// Turns readings into records of telemetry: what has moved, and now and then everything.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "telemetry/metrics/metric.h"

namespace wherry::telemetry {

struct RecorderOptions {
  // Groups that are sent (kNodeGroups, kContainerGroups).
  std::vector<std::string> node{}, containers{};
  int cpus = 1;  // of the device
  // Of so many samples one is full: a receiver that missed something is right again by then.
  int full_every = 15;
};

struct Record {
  std::string json;  // an object on one line, with its time
  bool urgent = false;
};

// Not thread-safe.
class Recorder {
 public:
  explicit Recorder(RecorderOptions options) : options_(std::move(options)) {}

  // The next sample, nothing where it has nothing to say. Rates need a sample before it.
  std::optional<Record> take(const Readings& readings, MonoTime now, WallTime at);

 private:
  struct Course {
    double value = 0;            // as read last
    std::optional<double> sent;  // as it went out last
    uint64_t sample = 0;         // that had it
  };
  bool wanted(const Reading& reading) const;
  // What would be sent; nothing where it takes a value of before.
  std::optional<double> worth(const Reading& reading, const Course* before, double seconds) const;

  const RecorderOptions options_;
  std::map<std::string, Course> courses_;  // by metric and labels
  uint64_t samples_ = 0;
  MonoTime last_{};
};

}  // namespace wherry::telemetry
