#include "tests/bench/fleet_bench.h"

#include <set>
#include <stdexcept>
#include <sys/resource.h>

#include "tests/bench/bench_table.h"
#include "tests/bench/process_stats.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/simulated_fleet.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::bench {
namespace {

constexpr size_t kDevices = 2000;
constexpr test::Millis kPatience{300'000};

// The broker and the simulator need a descriptor a device; both take over this limit.
void allow_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < kDevices + 100)
    throw std::runtime_error("too few file descriptors are allowed; raise ulimit -Hn");
}

// Until so many topics had a message with `part` in it.
void await_all(test::MqttClient& client, const std::string& part) {
  std::set<std::string> topics;
  const auto all = client.wait_for(
      [&](const test::MqttMessage& message) {
        if (message.payload.find(part) != std::string::npos) topics.insert(message.topic);
        return topics.size() == kDevices;
      },
      kPatience);
  if (!all) {
    throw std::runtime_error("only " + std::to_string(topics.size()) + " devices said " + part);
  }
}

double seconds_since(MonoTime begin) { return ms(SystemClock().now() - begin) / 1000; }

}  // namespace

void fleet() {
  allow_descriptors();
  const SystemClock clock;
  test::MosquittoBroker broker({.tcp_nodelay = true});
  test::MqttClient manager(broker.port());
  manager.subscribe("wherry/v1/devices/+/presence");
  heading("2000 simulated devices on one Mosquitto, one document of their group");
  const MonoTime begin = clock.now();
  test::SimulatedFleet simulated(kDevices, broker.url(),
                                 {"--group", "pumps", "--connects-per-second", "500"});
  await_all(manager, "online");
  const pid_t pid = simulated.process().pid();
  row("all connected, 500 a second", seconds_since(begin), "s", 0);
  const auto kib_each = [&] { return static_cast<double>(footprint(pid).pss) / 1024 / kDevices; };
  row("PSS for each, without a workload", kib_each(), "KiB", 0);
  manager.clear();
  manager.subscribe("wherry/v1/devices/+/reported");
  await_all(manager, "\"desired\":[]");
  manager.clear();
  const int64_t cpu = process_cpu_nanoseconds(pid);
  const MonoTime published = clock.now();
  manager.publish_retained(
      "wherry/v1/groups/pumps/desired",
      test::desired_document(1, nlohmann::json::array({test::simple_pod(
                                    "web", "registry.local/web:1", {"/bin/web"})})));
  await_all(manager, "\"source\":\"groups/pumps\",\"revision\":1,");
  row("accepted and reported by all", seconds_since(published), "s", 60);
  await_all(manager, "\"state\":\"Applied\"");
  row("applied by all (a pull takes 1 to 3 s)", seconds_since(published), "s", 60);
  row("CPU for each device until then",
      static_cast<double>(process_cpu_nanoseconds(pid) - cpu) / 1e6 / kDevices, "ms", 0);
  row("PSS for each, with a workload", kib_each(), "KiB", 0);
  row("threads", thread_count(pid), "", 0);
  if (simulated.process().terminate() != 0) throw std::runtime_error("the fleet did not end well");
}

}  // namespace wherry::bench
