#pragma once
// The metrics of what others measure: containers, Pods, and the agent. Those of the device are with
// their sampler (node.h).

#include "telemetry/metrics/metric.h"

namespace wherry::telemetry {

// --- {workload, container}
inline constexpr Metric kContainerCpu{"wherry_container_cpu_usage_seconds_total",
                                      "Processor time that the container has taken.",
                                      MetricType::Counter,
                                      "cpu",
                                      "cpuCores",
                                      Sent::Rate,
                                      0.05,
                                      0.2};
inline constexpr Metric kContainerThrottled{
    "wherry_container_cpu_throttled_seconds_total",
    "Time for which the container was held back by its cpu limit.",
    MetricType::Counter,
    "cpu",
    "cpuThrottledSeconds",
    Sent::Value,
    5,
    0.1};
inline constexpr Metric kContainerMemory{
    "wherry_container_memory_usage_bytes",
    "Memory charged to the container, the cache of its files included.",
    MetricType::Gauge,
    "memory",
    "memoryUsageBytes",
    Sent::WhenFull};
inline constexpr Metric kContainerWorkingSet{
    "wherry_container_memory_working_set_bytes",
    "Memory that cannot be taken from the container without swap.",
    MetricType::Gauge,
    "memory",
    "memoryWorkingSetBytes",
    Sent::Value,
    1 << 20,
    0.1};
inline constexpr Metric kContainerMemoryLimit{
    "wherry_container_memory_limit_bytes",
    "Most memory that the container may take, where there is a limit.",
    MetricType::Gauge,
    "memory",
    "memoryLimitBytes",
    Sent::WhenFull};
inline constexpr Metric kContainerOomKills{
    "wherry_container_oom_kills_total",
    "Processes of the container that the kernel killed for want of memory.",
    MetricType::Counter,
    "oom",
    "oomKills",
    Sent::Value,
    0,
    0,
    true};
inline constexpr Metric kContainerRead{"wherry_container_io_read_bytes_total",
                                       "Bytes that the container read from block devices.",
                                       MetricType::Counter,
                                       "io",
                                       "ioReadBytes",
                                       Sent::Value,
                                       4 << 20,
                                       0.05};
inline constexpr Metric kContainerWritten{"wherry_container_io_written_bytes_total",
                                          "Bytes that the container wrote to block devices.",
                                          MetricType::Counter,
                                          "io",
                                          "ioWrittenBytes",
                                          Sent::Value,
                                          4 << 20,
                                          0.05};
inline constexpr Metric kContainerProcesses{"wherry_container_processes",
                                            "Processes and threads of the container.",
                                            MetricType::Gauge,
                                            "processes",
                                            "processes",
                                            Sent::Value,
                                            2,
                                            0.25};
inline constexpr Metric kContainerRestarts{"wherry_container_restarts_total",
                                           "How often the container was started again.",
                                           MetricType::Counter,
                                           "state",
                                           "restarts",
                                           Sent::Value};
inline constexpr Metric kContainerReady{"wherry_container_ready",
                                        "Whether the container is ready.",
                                        MetricType::Gauge,
                                        "state",
                                        "ready",
                                        Sent::Value};

// --- {workload}
inline constexpr Metric kPodReceived{
    "wherry_pod_network_receive_bytes_total",
    "Bytes that the Pod received; not known of one on the host's network.",
    MetricType::Counter,
    "network",
    "networkReceiveBytes",
    Sent::Value,
    1 << 20,
    0.05};
inline constexpr Metric kPodTransmitted{
    "wherry_pod_network_transmit_bytes_total",
    "Bytes that the Pod sent; not known of one on the host's network.",
    MetricType::Counter,
    "network",
    "networkTransmitBytes",
    Sent::Value,
    1 << 20,
    0.05};

// --- the agent
inline constexpr Metric kBuildInfo{"wherry_build_info", "The agent's version; always 1."};
inline constexpr Metric kMqttConnected{"wherry_mqtt_connected",
                                       "Whether the agent is connected to a broker."};
inline constexpr Metric kMqttSentBytes{
    "wherry_mqtt_sent_bytes_total",
    "Bytes of topics and payloads that were sent, by class of topic.", MetricType::Counter};
inline constexpr Metric kMqttReceivedBytes{
    "wherry_mqtt_received_bytes_total",
    "Bytes of topics and payloads that were received, by class of topic.", MetricType::Counter};
inline constexpr Metric kMqttSentMessages{"wherry_mqtt_sent_messages_total",
                                          "Messages that were sent, by class of topic.",
                                          MetricType::Counter};
inline constexpr Metric kMqttReceivedMessages{"wherry_mqtt_received_messages_total",
                                              "Messages that were received, by class of topic.",
                                              MetricType::Counter};
inline constexpr Metric kOutboxRecords{"wherry_outbox_records",
                                       "Records that wait to go upstream, by kind of stream."};
inline constexpr Metric kOutboxBytes{
    "wherry_outbox_bytes", "Bytes on disk of what waits to go upstream, by kind of stream."};
inline constexpr Metric kOutboxDropped{
    "wherry_outbox_dropped_records_total",
    "Records that were given up, by kind of stream, since the agent was started.",
    MetricType::Counter};
inline constexpr Metric kProbes{
    "wherry_probe_results_total",
    "Changes that probes told of, by what they found, since the agent was started.",
    MetricType::Counter};

}  // namespace wherry::telemetry
