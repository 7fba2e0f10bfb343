// What containers take, measured on real ones: on /metrics, and upstream.

#include <filesystem>
#include <fstream>
#include <linux/magic.h>
#include <set>
#include <signal.h>
#include <sys/vfs.h>

#include "tests/support/prometheus_text.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class MetricsTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    // MQTT 3.1.1 has no content types, and so batches are not compressed.
    options.sets = {"mqtt.version=3.1.1", "telemetry.interval=1s", "telemetry.gather=0s"};
  }

  PrometheusText metrics() {
    const RestAnswer answer = agent_->get("/metrics");
    EXPECT_EQ(answer.status, 200) << answer.body;
    PrometheusText read = read_prometheus(answer.body);
    EXPECT_EQ(read.problem, "");
    return read;
  }
  // A sample of `metrics()`; -1 where there is none.
  double metric(const std::string& series) {
    const PrometheusText read = metrics();
    const auto found = read.samples.find(series);
    return found == read.samples.end() ? -1 : found->second;
  }
  static std::string of(const std::string& metric, const std::string& workload) {
    return metric + "{workload=\"" + workload + "\",container=\"" + workload + "\"}";
  }
  json busy(const std::string& name) {
    json pod = simple_pod(name, kImage,
                          {"/bin/sh", "-c",
                           "(while :; do :; done) & head -c 20000000 /dev/zero | "
                           "(sleep 1000000; cat >/dev/null) & wait"},
                          false);
    pod["spec"]["terminationGracePeriodSeconds"] = 0;
    pod["spec"]["containers"][0]["resources"] = {{"limits", {{"memory", "64Mi"}}}};
    return pod;
  }
  // Its state is; /tmp may be in memory, as it is from Debian 13 on.
  bool on_disk() const {
    struct statfs info {};
    return statfs(agent_->state_dir().c_str(), &info) == 0 && info.f_type != TMPFS_MAGIC;
  }
  int64_t written() {
    std::ifstream file("/proc/" + std::to_string(agent_->process().pid()) + "/io");
    std::string key;
    int64_t value = 0;
    while (file >> key >> value) {
      if (key == "write_bytes:") return value;
    }
    return -1;
  }
  std::set<std::string> threads() {
    std::set<std::string> names;
    const std::string tasks = "/proc/" + std::to_string(agent_->process().pid()) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      std::string name;
      std::ifstream(task.path() / "comm") >> name;
      names.insert(name);
    }
    return names;
  }
};

TEST_F(MetricsTest, ABusyContainerShowsOnTheDeviceAndUpstream) {
  publish(1, {busy("busy"), sleeper("calm")});
  running("busy");
  running("calm");
  const std::string cpu = "wherry_container_cpu_usage_seconds_total";
  EXPECT_TRUE(wait_until([&] { return metric(of(cpu, "busy")) > 1; }));
  const PrometheusText read = metrics();
  const auto at = [&](const std::string& series) {
    const auto found = read.samples.find(series);
    return found == read.samples.end() ? -1 : found->second;
  };
  EXPECT_GE(at(of(cpu, "calm")), 0);
  EXPECT_LT(at(of(cpu, "calm")), at(of(cpu, "busy")));
  EXPECT_EQ(at(of("wherry_container_memory_limit_bytes", "busy")), 64 << 20);
  EXPECT_EQ(at(of("wherry_container_memory_limit_bytes", "calm")), -1) << "it has none";
  EXPECT_GT(at(of("wherry_container_memory_working_set_bytes", "busy")), 50'000);
  EXPECT_GE(at(of("wherry_container_processes", "busy")), 3);
  EXPECT_EQ(at(of("wherry_container_oom_kills_total", "busy")), 0);
  EXPECT_EQ(at(of("wherry_container_restarts_total", "busy")), 0);
  EXPECT_EQ(at(of("wherry_container_ready", "busy")), 1);
  EXPECT_GE(at("wherry_pod_network_transmit_bytes_total{workload=\"busy\"}"), 0);
  EXPECT_EQ(at("wherry_pod_network_transmit_bytes_total{workload=\"calm\"}"), -1)
      << "it has the host's network";
  EXPECT_GT(at("wherry_node_memory_total_bytes"), 1e6);
  EXPECT_GT(at("wherry_node_filesystem_size_bytes{holds=\"state\"}"), 1e6);
  EXPECT_EQ(at("wherry_mqtt_connected"), 1);
  EXPECT_GE(at("wherry_mqtt_received_messages_total{class=\"desired\"}"), 1);
  EXPECT_GT(at("wherry_mqtt_received_bytes_total{class=\"desired\"}"), 500);
  EXPECT_GE(at("wherry_mqtt_sent_messages_total{class=\"reported\"}"), 1);
  EXPECT_GT(at("wherry_mqtt_sent_bytes_total{class=\"presence\"}"), 50);
  EXPECT_GT(at("wherry_agent_written_bytes_total"), on_disk() ? 0 : -1);
  EXPECT_GT(at("process_resident_memory_bytes"), 1e6);

  const auto message = fleet_->wait_for([](const MqttMessage& one) {
    if (!one.topic.ends_with("/telemetry")) return false;
    const json batch = json::parse(one.payload, nullptr, false);
    if (batch.is_discarded() || batch.value("stream", "") != "telemetry") return false;
    for (const json& record : batch["records"]) {
      const json busy = record.value("/containers/busy~1busy"_json_pointer, json::object());
      if (busy.value("cpuCores", 0.0) > 0.05) return true;
    }
    return false;
  });
  ASSERT_TRUE(message) << "no batch tells of it";
  EXPECT_TRUE(wait_until(
      [&] { return metric("wherry_mqtt_sent_messages_total{class=\"telemetry\"}") >= 2; }));
  EXPECT_TRUE(threads().contains("telemetry"));

  const CommandResult printed = agent_->cli({"metrics"});
  EXPECT_EQ(printed.exit_code, 0) << printed.err;
  EXPECT_EQ(read_prometheus(printed.out).problem, "");
  EXPECT_TRUE(read_prometheus(printed.out).samples.contains(of(cpu, "busy")));
}

TEST_F(MetricsTest, RestartsAreCounted) {
  publish(1, {sleeper("web")});
  running("web");
  ASSERT_EQ(metric(of("wherry_container_restarts_total", "web")), 0);
  ASSERT_EQ(kill(pid_of("web"), SIGKILL), 0);
  EXPECT_TRUE(
      wait_until([&] { return metric(of("wherry_container_restarts_total", "web")) == 1; }));
}

class QuietTest : public MetricsTest {
 protected:
  void configure(WherryOptions& options) override {
    options.sets = {"telemetry.interval=0s", "mqtt.keepalive=600s"};
  }
};

TEST_F(QuietTest, WithTelemetryOffAnIdleAgentWritesAndSaysNothing) {
  publish(1, {sleeper("a"), sleeper("b")});
  running("a");
  running("b");
  if (!on_disk()) GTEST_SKIP() << "/tmp is in memory, where nothing is written to";
  ASSERT_GT(written(), 0) << "else nothing is measured here";
  using Clock = std::chrono::steady_clock;
  int64_t before = 0;
  size_t messages = 0;
  Clock::time_point since = Clock::now();
  const bool settled = wait_until(
      [&] {
        const int64_t now = written();
        const size_t arrived = fleet_->messages().size();
        if (now != before || arrived != messages) since = Clock::now();
        before = now;
        messages = arrived;
        return Clock::now() - since > std::chrono::seconds(5);
      },
      std::chrono::seconds(90));
  ASSERT_TRUE(settled) << "it goes on writing";
  EXPECT_FALSE(
      wait_until([&] { return written() != before || fleet_->messages().size() != messages; },
                 std::chrono::seconds(15)));
  EXPECT_FALSE(threads().contains("telemetry"));
  for (const MqttMessage& message : fleet_->messages()) {
    EXPECT_FALSE(message.topic.ends_with("/telemetry")) << message.payload;
  }
  // Who asks is answered all the same.
  EXPECT_GT(metric(of("wherry_container_cpu_usage_seconds_total", "a")), 0);
}

}  // namespace
}  // namespace wherry::test
