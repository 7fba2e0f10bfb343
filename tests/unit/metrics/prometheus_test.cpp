// The text that Prometheus reads.

#include <gtest/gtest.h>

#include "telemetry/metrics/catalogue.h"
#include "telemetry/metrics/node.h"
#include "telemetry/metrics/prometheus_text.h"
#include "tests/support/prometheus_text.h"
#include "tests/unit/metrics/readings.h"

namespace wherry::telemetry {
namespace {

using test::PrometheusText;
using test::read_prometheus;

TEST(PrometheusText, HasHelpTypeAndEverySeries) {
  Readings readings;
  const auto of = [](const char* name) { return Labels{{kWorkload, name}, {kContainer, "main"}}; };
  add(readings, kContainerCpu, 1.5, of("a"));
  add(readings, kContainerProcesses, 3, of("a"));
  add(readings, kContainerCpu, 2e12, of("b"));
  EXPECT_EQ(prometheus_text(readings),
            "# HELP wherry_container_cpu_usage_seconds_total Processor time that the container has "
            "taken.\n"
            "# TYPE wherry_container_cpu_usage_seconds_total counter\n"
            "wherry_container_cpu_usage_seconds_total{workload=\"a\",container=\"main\"} 1.5\n"
            "wherry_container_cpu_usage_seconds_total{workload=\"b\",container=\"main\"} "
            "2000000000000\n"
            "# HELP wherry_container_processes Processes and threads of the container.\n"
            "# TYPE wherry_container_processes gauge\n"
            "wherry_container_processes{workload=\"a\",container=\"main\"} 3\n");
}

TEST(PrometheusText, OddNamesAreEscaped) {
  constexpr Metric kOdd{"odd", "Odd.", MetricType::Gauge};
  const std::string text = prometheus_text({{&kOdd, {{"zone", "a\"b\\c\nd"}}, 1}});
  EXPECT_EQ(read_prometheus(text).problem, "") << text;
  EXPECT_NE(text.find(R"(odd{zone="a\"b\\c\nd"} 1)"), std::string::npos) << text;
}

TEST(PrometheusText, WhatTheDeviceSaysIsGood) {
  NodePlaces places;
  places.directories = {{"state", "/"}};
  places.clock_synchronised = [] { return std::optional(true); };
  Readings readings = read_node(places);
  for (Reading& reading : read_process()) readings.push_back(std::move(reading));
  for (const Metric* metric : {&kContainerCpu,
                               &kContainerThrottled,
                               &kContainerMemory,
                               &kContainerWorkingSet,
                               &kContainerMemoryLimit,
                               &kContainerOomKills,
                               &kContainerRead,
                               &kContainerWritten,
                               &kContainerProcesses,
                               &kContainerRestarts,
                               &kContainerReady,
                               &kPodReceived,
                               &kPodTransmitted,
                               &kBuildInfo,
                               &kMqttConnected,
                               &kMqttSentBytes,
                               &kMqttReceivedBytes,
                               &kMqttSentMessages,
                               &kMqttReceivedMessages,
                               &kOutboxRecords,
                               &kOutboxBytes,
                               &kOutboxDropped,
                               &kProbes}) {
    readings.push_back({metric, {{kWorkload, "web"}}, 1});
  }
  const PrometheusText read = read_prometheus(prometheus_text(readings));
  EXPECT_EQ(read.problem, "");
  EXPECT_EQ(read.samples.size(), readings.size());
  EXPECT_EQ(read.samples.at("wherry_node_clock_synchronised"), 1);
}

TEST(PrometheusText, TheCheckFindsFaults) {
  const std::string good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\n";
  EXPECT_EQ(read_prometheus(good).problem, "");
  EXPECT_NE(read_prometheus(good + "a_total{b=\"c\"} 2\n").problem, "");
  for (const char* bad :
       {"a 1\n", "# HELP a x\na 1\n", "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
        "# HELP a x\n# TYPE a gauge\na NaN\n", "# HELP a x\n# TYPE a gauge\na{b=c} 1\n",
        "# HELP a x\n# TYPE a gauge\na 1", "# HELP a_percent x\n# TYPE a_percent gauge\n",
        "# HELP a x\n# TYPE a gauge\n# HELP b x\n# TYPE b gauge\na 1\n", "\n"}) {
    EXPECT_NE(read_prometheus(bad).problem, "") << bad;
  }
}

}  // namespace
}  // namespace wherry::telemetry
