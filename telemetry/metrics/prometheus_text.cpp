#include "telemetry/metrics/prometheus_text.h"

#include <map>
#include <prometheus/text_serializer.h>

namespace wherry::telemetry {
namespace {

prometheus::ClientMetric series(const Reading& reading) {
  prometheus::ClientMetric made;
  for (const auto& [name, value] : reading.labels) {
    made.label.push_back({std::string(name), value});
  }
  if (reading.metric->type == MetricType::Counter) {
    made.counter.value = reading.value;
  } else {
    made.gauge.value = reading.value;
  }
  return made;
}

}  // namespace

std::string prometheus_text(const Readings& readings) {
  std::vector<prometheus::MetricFamily> families;
  std::map<const Metric*, size_t> places;
  for (const Reading& reading : readings) {
    const auto [place, fresh] = places.try_emplace(reading.metric, families.size());
    if (fresh) {
      const bool counter = reading.metric->type == MetricType::Counter;
      families.push_back({std::string(reading.metric->name),
                          std::string(reading.metric->help),
                          counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
                          {}});
    }
    families[place->second].metric.push_back(series(reading));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace wherry::telemetry
