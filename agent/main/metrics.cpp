#include "agent/main/metrics.h"

#include <map>
#include <utility>

#include "base/log.h"
#include "telemetry/metrics/catalogue.h"
#include "telemetry/metrics/node.h"
#include "telemetry/metrics/prometheus_text.h"

namespace wherry {
namespace {

using telemetry::add;
using telemetry::Labels;
using telemetry::Readings;

constexpr std::array<std::string_view, 5> kProbeResults{"started", "ready", "not_ready",
                                                        "startup_failed", "liveness_failed"};

telemetry::SamplerOptions sampler_options(const MetricsParts& parts) {
  telemetry::SamplerOptions options;
  options.interval = parts.config.telemetry.interval;
  options.gather = parts.config.telemetry.gather;
  options.recorder.node = parts.config.telemetry.node;
  options.recorder.containers = parts.config.telemetry.containers;
  options.recorder.cpus = parts.cpus;
  return options;
}

template <typename Count>
std::optional<double> real(const std::optional<Count>& count) {
  return count ? std::optional(static_cast<double>(*count)) : std::nullopt;
}

void add_usage(Readings& readings, const runtime::ContainerUsage& usage, const Labels& of) {
  add(readings, telemetry::kContainerCpu, usage.cpu_seconds, of);
  add(readings, telemetry::kContainerThrottled, usage.throttled_seconds, of);
  add(readings, telemetry::kContainerMemory, real(usage.memory), of);
  add(readings, telemetry::kContainerWorkingSet, real(usage.working_set), of);
  add(readings, telemetry::kContainerMemoryLimit, real(usage.memory_limit), of);
  add(readings, telemetry::kContainerOomKills, real(usage.oom_kills), of);
  add(readings, telemetry::kContainerRead, real(usage.read_bytes), of);
  add(readings, telemetry::kContainerWritten, real(usage.written_bytes), of);
  add(readings, telemetry::kContainerProcesses, real(usage.processes), of);
}

void add_traffic(Readings& readings, const Traffic& traffic) {
  for (size_t i = 0; i < kTopicClasses; ++i) {
    const auto topic = static_cast<TopicClass>(i);
    const Labels of{{"class", std::string(to_string(topic))}};
    const Traffic::Count sent = traffic.sent(topic), received = traffic.received(topic);
    add(readings, telemetry::kMqttSentBytes, static_cast<double>(sent.bytes), of);
    add(readings, telemetry::kMqttSentMessages, static_cast<double>(sent.messages), of);
    add(readings, telemetry::kMqttReceivedBytes, static_cast<double>(received.bytes), of);
    add(readings, telemetry::kMqttReceivedMessages, static_cast<double>(received.messages), of);
  }
}

void add_outbox(Readings& readings, const telemetry::Telemetry& upstream) {
  struct Sum {
    uint64_t records = 0, dropped = 0;
    int64_t bytes = 0;
  };
  constexpr std::array<std::string_view, telemetry::kKinds> kNames{"events", "data", "logs",
                                                                   "telemetry"};
  std::array<Sum, telemetry::kKinds> sums;
  for (const telemetry::StreamState& stream : upstream.streams()) {
    const auto kind = telemetry::kind_of(stream.name);
    if (!kind) continue;
    Sum& sum = sums.at(static_cast<size_t>(*kind));
    sum.records += stream.records;
    sum.bytes += stream.bytes;
    sum.dropped += stream.dropped;
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    const Labels of{{"kind", std::string(kNames.at(i))}};
    const Sum& sum = sums.at(i);
    add(readings, telemetry::kOutboxRecords, static_cast<double>(sum.records), of);
    add(readings, telemetry::kOutboxBytes, static_cast<double>(sum.bytes), of);
    add(readings, telemetry::kOutboxDropped, static_cast<double>(sum.dropped), of);
  }
}

}  // namespace

Metrics::Metrics(MetricsParts parts)
    : parts_(std::move(parts)),
      sampler_(
          sampler_options(parts_), parts_.clock, [this] { return measure(); },
          [this](const std::vector<std::string>& records) { deliver(records); }) {}

void Metrics::start() {
  if (parts_.upstream) sampler_.start();
}

void Metrics::stop() { sampler_.stop(); }

// In one append, which is one write to disk; what does not get there is posted, and waits.
void Metrics::deliver(const std::vector<std::string>& records) {
  if (!parts_.upstream) return;
  telemetry::Lines lines;
  for (const std::string& record : records) lines.add(record);
  const auto kept = parts_.upstream->append("telemetry", std::move(lines));
  if (kept) return;
  log_debug("samples wait for the disk", {{"error", kept.error().full()}});
  for (const std::string& record : records) parts_.upstream->post("telemetry", record);
}

void Metrics::count(runtime::ProbeNews::Kind kind) { ++probes_.at(static_cast<size_t>(kind)); }

std::string Metrics::text() {
  Readings readings;
  add(readings, telemetry::kBuildInfo, 1, {{"version", parts_.version}});
  for (telemetry::Reading& reading : measure()) readings.push_back(std::move(reading));
  add_agent(readings);
  return telemetry::prometheus_text(readings);
}

std::string Metrics::store_place() {
  {
    const std::lock_guard lock(mutex_);
    if (!store_place_.empty()) return store_place_;
  }
  const auto places = parts_.facts.places();
  if (!places) return {};
  const std::lock_guard lock(mutex_);
  return store_place_ = places->content;
}

Readings Metrics::measure() {
  telemetry::NodePlaces places;
  places.directories.push_back({"state", parts_.config.storage.state_dir});
  if (std::string store = store_place(); !store.empty()) {
    places.directories.push_back({"containerd", std::move(store)});
  }
  places.clock_synchronised = telemetry::kernel_clock_synchronised;
  Readings readings = telemetry::read_node(places);
  add_workloads(readings);
  return readings;
}

// The picture says what there is: no question to containerd.
void Metrics::add_workloads(Readings& readings) {
  const auto view = parts_.board.get();
  for (const WorkloadView& workload : view->workloads) {
    std::optional<runtime::PodTraffic> traffic;
    for (const ContainerView& container : workload.containers) {
      const Labels of{{telemetry::kWorkload, workload.name},
                      {telemetry::kContainer, container.name}};
      add(readings, telemetry::kContainerRestarts, container.restarts, of);
      add(readings, telemetry::kContainerReady, container.ready ? 1 : 0, of);
      if (container.state != "running" || container.id.empty()) continue;
      add_usage(readings, parts_.meter.container(workload.name, container.id), of);
      if (!traffic) traffic = parts_.meter.traffic(container.id, container.pid);
    }
    if (!traffic) continue;
    const Labels of{{telemetry::kWorkload, workload.name}};
    add(readings, telemetry::kPodReceived, static_cast<double>(traffic->received), of);
    add(readings, telemetry::kPodTransmitted, static_cast<double>(traffic->transmitted), of);
  }
}

void Metrics::add_agent(Readings& readings) const {
  for (const ConditionView& condition : parts_.board.get()->conditions) {
    if (condition.type == "BrokerConnected") {
      add(readings, telemetry::kMqttConnected, condition.status ? 1 : 0);
    }
  }
  add_traffic(readings, parts_.traffic);
  if (parts_.upstream) add_outbox(readings, *parts_.upstream);
  for (size_t i = 0; i < probes_.size(); ++i) {
    add(readings, telemetry::kProbes, static_cast<double>(probes_.at(i).load()),
        {{"result", std::string(kProbeResults.at(i))}});
  }
  for (telemetry::Reading& reading : telemetry::read_process()) {
    readings.push_back(std::move(reading));
  }
}

std::optional<UsageView> Metrics::usage() {
  const auto day = daily_.at(
      parts_.clock.wall(), parts_.clock.now(),
      {parts_.traffic.sent_bytes(), parts_.traffic.received_bytes(), telemetry::written_bytes()});
  if (!day) return std::nullopt;
  return UsageView{day->date, day->grown.sent, day->grown.received, day->grown.written};
}

}  // namespace wherry
