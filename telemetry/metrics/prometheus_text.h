#pragma once
// The text that Prometheus scrapes (exposition format 0.0.4).

#include <string>

#include "telemetry/metrics/metric.h"

namespace wherry::telemetry {

inline constexpr const char* kPrometheusType = "text/plain; version=0.0.4; charset=utf-8";

// HELP and TYPE once a metric, in the order in which metrics first come.
std::string prometheus_text(const Readings& readings);

}  // namespace wherry::telemetry
