#pragma once
// What is measured, wired: to /metrics, to the records of telemetry, and to the figure of the day.

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent/config/config.h"
#include "agent/fleet/traffic.h"
#include "agent/reconcile/state_view.h"
#include "runtime/image/space.h"
#include "runtime/meter.h"
#include "runtime/runtime.h"
#include "telemetry/metrics/daily.h"
#include "telemetry/metrics/sampler.h"
#include "telemetry/telemetry.h"

namespace wherry {

// References must outlive it.
struct MetricsParts {
  const Config& config;
  std::string version;
  int cpus = 1;
  const Clock& clock;
  const StateBoard& board;
  const Traffic& traffic;
  runtime::Meter& meter;
  runtime::StoreFacts& facts;
  const std::unique_ptr<telemetry::Telemetry>& upstream;  // may hold nothing
};

// Thread-safe, but for usage(), which is the reconciler's.
class Metrics {
 public:
  explicit Metrics(MetricsParts parts);

  void start();  // samples, where the configuration asks for them
  void stop();   // before `upstream` is

  std::string text();  // what /metrics shows
  void count(runtime::ProbeNews::Kind kind);
  std::optional<UsageView> usage();

 private:
  telemetry::Readings measure();
  void add_workloads(telemetry::Readings& readings);
  void add_agent(telemetry::Readings& readings) const;
  void deliver(const std::vector<std::string>& records);
  std::string store_place();

  const MetricsParts parts_;
  std::array<std::atomic<uint64_t>, 5> probes_{};
  telemetry::Daily daily_;
  std::mutex mutex_;
  std::string store_place_;  // once it is known
  telemetry::Sampler sampler_;
};

}  // namespace wherry
