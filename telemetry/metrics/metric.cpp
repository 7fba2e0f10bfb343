#include "telemetry/metrics/metric.h"

#include <cmath>

namespace wherry::telemetry {

void add(Readings& readings, const Metric& metric, std::optional<double> value, Labels labels) {
  if (!value || !std::isfinite(*value)) return;
  readings.push_back({&metric, std::move(labels), *value});
}

}  // namespace wherry::telemetry
