#include "telemetry/metrics/recorder.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace wherry::telemetry {
namespace {

using Json = nlohmann::ordered_json;

const std::string* label(const Reading& reading, std::string_view name) {
  for (const auto& [key, value] : reading.labels) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string identity(const Reading& reading) {
  std::string text(reading.metric->name);
  for (const auto& [key, value] : reading.labels) text.append("\n").append(value);
  return text;
}

// Three decimals are more than any sensor is good for; what is whole is written so.
Json number(double value) {
  constexpr double kLargestExact = 9007199254740992.0;
  const double rounded = std::round(value * 1000) / 1000;
  if (std::abs(rounded) < kLargestExact && rounded == std::floor(rounded)) {
    return static_cast<int64_t>(rounded);
  }
  return rounded;
}

bool moved(const Metric& metric, double from, double to) {
  return std::abs(to - from) > std::max(metric.band, metric.band_ratio * std::abs(from));
}

// Below "node", "pods" or "containers", by what the labels say; a further label becomes a level.
void put(Json& record, const Reading& reading, double value) {
  const std::string* workload = label(reading, kWorkload);
  const std::string* container = label(reading, kContainer);
  Json& object = workload == nullptr    ? record["node"]
                 : container == nullptr ? record["pods"][*workload]
                                        : record["containers"][*workload + "/" + *container];
  Json* member = &object[std::string(reading.metric->key)];
  for (const auto& [key, text] : reading.labels) {
    if (key != kWorkload && key != kContainer) member = &(*member)[text];
  }
  *member = number(value);
}

}  // namespace

bool Recorder::wanted(const Reading& reading) const {
  if (reading.metric->sent == Sent::Never) return false;
  const auto& groups = label(reading, kWorkload) == nullptr ? options_.node : options_.containers;
  return std::find(groups.begin(), groups.end(), reading.metric->group) != groups.end();
}

std::optional<double> Recorder::worth(const Reading& reading, const Course* before,
                                      double seconds) const {
  const Sent sent = reading.metric->sent;
  if (sent != Sent::Rate && sent != Sent::RatePerCpu) return reading.value;
  // A counter that fell has begun anew.
  if (before == nullptr || before->sample != samples_ - 1 || reading.value < before->value ||
      seconds <= 0) {
    return std::nullopt;
  }
  const double rate = (reading.value - before->value) / seconds;
  return sent == Sent::RatePerCpu ? rate / std::max(options_.cpus, 1) : rate;
}

std::optional<Record> Recorder::take(const Readings& readings, MonoTime now, WallTime at) {
  const bool full = samples_ % static_cast<uint64_t>(std::max(options_.full_every, 1)) == 0;
  const double seconds = std::chrono::duration<double>(now - last_).count();
  ++samples_;
  last_ = now;
  Json json = Json::object();
  json["at"] = to_rfc3339(at);
  if (full) json["full"] = true;
  Record record;
  bool anything = false;
  for (const Reading& reading : readings) {
    if (!wanted(reading)) continue;
    const Metric& metric = *reading.metric;
    auto [course, fresh] = courses_.try_emplace(identity(reading));
    const auto value = worth(reading, fresh ? nullptr : &course->second, seconds);
    course->second.value = reading.value;
    course->second.sample = samples_;
    if (!value) continue;
    std::optional<double>& sent = course->second.sent;
    const bool news = metric.sent != Sent::WhenFull && (!sent || moved(metric, *sent, *value));
    if (!full && !news) continue;
    record.urgent = record.urgent || (metric.urgent && news && sent);
    sent = *value;
    put(json, reading, *value);
    anything = true;
  }
  std::erase_if(courses_, [this](const auto& one) { return one.second.sample != samples_; });
  if (!anything) return std::nullopt;
  record.json = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return record;
}

}  // namespace wherry::telemetry
