#pragma once
// What is measured, and how it is named: one table entry a metric drives both the Prometheus text
// (its naming conventions: base units, _total for what only grows) and the records of telemetry.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wherry::telemetry {

// What can be chosen to go upstream: telemetry.node and telemetry.containers.
inline constexpr std::array<std::string_view, 10> kNodeGroups{
    "cpu",     "load",        "memory", "pressure", "filesystem",
    "network", "temperature", "uptime", "clock",    "throttling"};
inline constexpr std::array<std::string_view, 7> kContainerGroups{
    "cpu", "memory", "io", "processes", "network", "oom", "state"};

enum class MetricType { Gauge, Counter };

// How a metric goes into a record.
enum class Sent {
  Never,
  Value,       // when it has moved beyond the dead-band, and in every full record
  Rate,        // the same, of its growth a second
  RatePerCpu,  // … and processor: a ratio, where it counts seconds
  WhenFull,    // in full records only
};

struct Metric {
  std::string_view name;  // wherry_node_load1
  std::string_view help;
  MetricType type = MetricType::Gauge;
  std::string_view group = {};  // of those above; empty: about the agent itself
  std::string_view key = {};    // in a record
  Sent sent = Sent::Never;
  // The dead-band: a move by no more than either of these is none. In the unit of what is sent, and
  // as a part of what was sent last.
  double band = 0, band_ratio = 0;
  // A move does not wait until records are gathered.
  bool urgent = false;
};

// Label names are literals. {workload, container} is about a container, {workload} about a Pod.
using Labels = std::vector<std::pair<std::string_view, std::string>>;

struct Reading {
  const Metric* metric = nullptr;  // static
  Labels labels;
  double value = 0;
};
using Readings = std::vector<Reading>;

// Leaves out what is not known or not finite.
void add(Readings& readings, const Metric& metric, std::optional<double> value, Labels labels = {});

inline constexpr std::string_view kWorkload = "workload";
inline constexpr std::string_view kContainer = "container";

}  // namespace wherry::telemetry
