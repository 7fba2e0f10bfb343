// ./dev bench: each figure beside its floor, both from the same run. A missed target is printed as
// missed; nothing is tuned here to reach one.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "tests/bench/bench_table.h"
#include "tests/bench/bench_world.h"
#include "tests/bench/dashboard_bench.h"
#include "tests/bench/fleet_bench.h"
#include "tests/bench/image_bench.h"
#include "tests/bench/pod_bench.h"
#include "tests/bench/process_stats.h"
#include "tests/bench/upstream_bench.h"

namespace wherry::bench {
namespace {

using nlohmann::json;

// A pause while nothing is to happen, for figures of idleness.
void idle_for(test::Millis time) {
  (void)test::wait_until([] { return false; }, time);
}

constexpr int kRounds = 9;

std::vector<double> floor_starts(World& world) {
  std::vector<double> all;
  const auto run = floor_run(world.client(), world.floor_image(), "floor", kRounds);
  if (!run) throw std::runtime_error(run.error().full());
  for (const FloorStart& start : run->starts) all.push_back(ms(start.total()));
  return all;
}

std::vector<double> publish_to_start(World& world, bool host_network) {
  std::vector<double> all;
  std::vector<json> pods;
  for (int i = 0; i < kRounds; ++i) {
    pods.push_back(world.pod("p" + std::to_string(i), host_network, host_network ? 0 : 21000 + i));
    const WallTime published = world.publish(pods);
    all.push_back(ms(world.started(published, 1) - published));
    world.settle(pods.size());
  }
  world.clear();
  return all;
}

void start_latency(bool nodelay) {
  World world(nodelay);
  heading(nodelay ? "Publish to task started (Mosquitto with set_tcp_nodelay true)"
                  : "Publish to task started (Mosquitto as it comes)");
  // Floor before and after, so that a machine that slows down is seen in both.
  std::vector<double> floor = floor_starts(world);
  const double host = median(publish_to_start(world, true));
  const auto again = floor_starts(world);
  floor.insert(floor.end(), again.begin(), again.end());
  const double bare = median(floor);
  row("floor: bare containerd calls", bare, "ms", 0);
  row("host network, image present", host, "ms", 0);
  row("  as a ratio to the floor", host / bare, "x", 1.25);
  std::vector<double> adds;
  for (int i = 0; i < kRounds; ++i) adds.push_back(ms(cni_add_by_hand(i)));
  const double add = median(adds);
  const double bridge = median(publish_to_start(world, false));
  row("floor: bridge and portmap CNI ADD by hand", add, "ms", 0);
  row("bridge network with a host port", bridge, "ms", 0);
  row("  as a ratio to 1.25 floor + ADD", bridge / (1.25 * bare + add), "x", 1.0);
}

void many_at_once() {
  World world;
  heading("One document with 20 Pods, all running");
  const auto run = floor_run(world.client(), world.floor_image(), "twenty", 20);
  if (!run) throw std::runtime_error(run.error().full());
  std::vector<json> pods;
  for (int i = 0; i < 20; ++i) pods.push_back(world.pod("m" + std::to_string(i), true));
  std::vector<double> all;
  for (int round = 0; round < 3; ++round) {
    const WallTime published = world.publish(pods);
    all.push_back(ms(world.started(published, 20) - published));
    world.settle(20);
    world.clear();
  }
  row("floor: 20 bare starts, one after another", ms(run->start_all), "ms", 0);
  row("20 Pods", median(all), "ms", 0);
  row("  as a ratio to the floor", median(all) / ms(run->start_all), "x", 0.75);
}

// What samples cost, taken every second instead of every minute.
void telemetry() {
  World world(true, {"telemetry.interval=1s"});
  std::vector<json> pods;
  for (int i = 0; i < 10; ++i) pods.push_back(world.pod("t" + std::to_string(i), true));
  world.publish(pods);
  world.settle(10);
  idle_for(std::chrono::seconds(3));
  heading("Telemetry with 10 workloads");
  const int64_t before = cpu_nanoseconds(world.agent_pid());
  idle_for(std::chrono::seconds(30));
  const double each = static_cast<double>(cpu_nanoseconds(world.agent_pid()) - before) / 30e6;
  row("CPU for a sample, idling included", each, "ms", 0);
  row("  of one core, a sample a minute", each / 60e3 * 100, "%", 0.2);
  row("PSS", mib(footprint(world.agent_pid()).pss), "MiB", 0);
}

// One minute, unless WHERRY_BENCH_IDLE_MINUTES says otherwise.
int idle_minutes() {
  const char* given = std::getenv("WHERRY_BENCH_IDLE_MINUTES");
  return given == nullptr ? 1 : std::max(1, std::atoi(given));
}

// How often the broker heard that from the agent.
double heard(World& world, const std::string& packet) {
  const std::string log = world.broker().log(), line = "Received " + packet + " from dev-1";
  int count = 0;
  for (size_t at = log.find(line); at != std::string::npos; at = log.find(line, at + 1)) ++count;
  return count;
}

void unchanged_and_idle() {
  World world(true, {"telemetry.interval=0s"});
  std::vector<json> pods;
  for (int i = 0; i < 10; ++i) pods.push_back(world.pod("i" + std::to_string(i), true));
  world.publish(pods);
  world.settle(10);
  idle_for(std::chrono::seconds(3));

  heading("An unchanged document again (10 workloads run)");
  const int64_t calls = world.container_calls();
  const int64_t cpu = cpu_nanoseconds(world.agent_pid());
  for (int i = 0; i < 10; ++i) world.publish_again();
  idle_for(std::chrono::seconds(1));
  row("CPU for each", static_cast<double>(cpu_nanoseconds(world.agent_pid()) - cpu) / 1e7, "ms",
      10);
  row("containerd calls for ten", static_cast<double>(world.container_calls() - calls), "", 0,
      "target: 0");

  const int minutes = idle_minutes();
  heading(("Idle with 10 workloads, minutes: " + std::to_string(minutes)).c_str());
  const int64_t before = cpu_nanoseconds(world.agent_pid());
  const int64_t written = written_bytes(world.agent_pid());
  const double messages = heard(world, "PUBLISH"), pings = heard(world, "PINGREQ");
  idle_for(std::chrono::minutes(minutes));
  const Footprint memory = footprint(world.agent_pid());
  row("PSS", mib(memory.pss), "MiB", 14);
  row("private dirty", mib(memory.private_dirty), "MiB", 5);
  row("CPU of one core",
      static_cast<double>(cpu_nanoseconds(world.agent_pid()) - before) / 60e9 / minutes * 100, "%",
      0.2);
  row("written to disk", static_cast<double>(written_bytes(world.agent_pid()) - written), "B", 0,
      "target: 0");
  row("messages sent", heard(world, "PUBLISH") - messages, "", 0, "target: 0");
  row("pings sent", heard(world, "PINGREQ") - pings, "", 0);
  row("threads", thread_count(world.agent_pid()), "", 0);
}

void probes() {
  World world;
  constexpr int kPods = 100;
  std::vector<json> pods;
  for (int i = 0; i < kPods; ++i) {
    const int port = 22000 + i;
    json pod = world.pod("h" + std::to_string(i), true);
    json& container = pod["spec"]["containers"][0];
    container["command"] = {
        "/bin/sh", "-c",
        "echo ok > /www/index.html; exec httpd -f -h /www -p " + std::to_string(port)};
    container["readinessProbe"] = {{"httpGet", {{"port", port}}}, {"periodSeconds", 1}};
    pods.push_back(std::move(pod));
  }
  world.publish(pods);
  world.settle(kPods);
  idle_for(std::chrono::seconds(3));
  heading("100 Pods, each with an httpGet probe a second, for 30 s");
  const int64_t before = cpu_nanoseconds(world.agent_pid());
  idle_for(std::chrono::seconds(30));
  row("CPU of one core",
      static_cast<double>(cpu_nanoseconds(world.agent_pid()) - before) / 30e9 * 100, "%", 4);
  world.clear();
}

double ready_after_spawn(test::WherryDaemon& agent) {
  const SystemClock clock;
  const MonoTime begin = clock.now();
  agent.spawn();
  if (!agent.wait_ready()) throw std::runtime_error("not ready: " + agent.log());
  return ms(clock.now() - begin);
}

void start_up() {
  World world;
  heading("Start of wherryd until /readyz says so");
  std::vector<double> empty;
  for (int i = 0; i < 5; ++i) {
    world.agent().stop();
    empty.push_back(ready_after_spawn(world.agent()));
  }
  row("empty store", median(empty), "ms", 100);
  std::vector<json> pods;
  for (int i = 0; i < 50; ++i) pods.push_back(world.pod("a" + std::to_string(i), true));
  world.publish(pods);
  world.settle(50);
  std::vector<double> adopting;
  for (int i = 0; i < 5; ++i) {
    world.agent().stop();
    adopting.push_back(ready_after_spawn(world.agent()));
  }
  row("50 workloads to adopt", median(adopting), "ms", 150);
  const Footprint memory = footprint(world.agent_pid());
  row("  PSS then", mib(memory.pss), "MiB", 0);
  world.clear();
}

int run(const std::vector<std::string>& wanted) {
  const std::vector<std::pair<std::string, std::function<void()>>> all = {
      {"start", [] { start_latency(true), start_latency(false); }},
      {"many", many_at_once},
      {"fifty", fifty_pods},
      {"docker", docker_beside},
      {"change", image_change},
      {"documents", documents},
      {"idle", unchanged_and_idle},
      {"telemetry", telemetry},
      {"ready", start_up},
      {"probes", probes},
      {"images", image_pulls},
      {"ingest", ingest},
      {"drain", drain},
      {"fleet", fleet},
      {"dashboard", dashboard},
  };
  for (const std::string& name : wanted) {
    const bool known =
        std::any_of(all.begin(), all.end(), [&](const auto& each) { return each.first == name; });
    if (known) continue;
    std::fprintf(stderr, "bench: there is no figure \"%s\"; see scripts/bench.sh\n", name.c_str());
    return 2;
  }
  for (const auto& [name, figure] : all) {
    const bool chosen =
        wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
    if (chosen) figure();
  }
  return 0;
}

}  // namespace
}  // namespace wherry::bench

int main(int argc, char** argv) {
  try {
    return wherry::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
