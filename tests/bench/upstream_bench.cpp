#include "tests/bench/upstream_bench.h"

#include <atomic>
#include <stdexcept>
#include <thread>

#include "tests/bench/bench_table.h"
#include "tests/bench/bench_world.h"
#include "tests/bench/process_stats.h"
#include "tests/bench/upstream_floor.h"
#include "tests/support/net.h"

namespace wherry::bench {
namespace {

using nlohmann::json;
using test::ask_unix;

constexpr int kBatch = 100;  // records of a request, and of the floor's transaction
constexpr int kProducers = 8;
constexpr Duration kFor = std::chrono::seconds(10);
constexpr int kBacklog = 1'000'000;

double seconds(Duration duration) { return ms(duration) / 1000; }

// One record of 256 bytes, newline included.
std::string record(int number) {
  std::string text = R"({"n":)" + std::to_string(number) + R"(,"v":")";
  uint32_t state = static_cast<uint32_t>(number) * 2654435761u;
  while (text.size() < 253) {
    text += static_cast<char>('a' + (state = state * 1664525 + 1013904223) / 165191050);
  }
  return text + "\"}\n";
}

std::string body_of(int first) {
  std::string body;
  for (int i = 0; i < kBatch; ++i) body += record(first + i);
  return body;
}

std::string post(const std::string& stream, const std::string& body) {
  return "POST /v1/streams/" + stream +
         " HTTP/1.1\r\nHost: data\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

// A world with a workload whose socket takes in records; the socket.
std::string socket_of(World& world) {
  json pod = world.pod("pump", true);
  pod["metadata"]["annotations"]["wherry/data-api"] = "true";
  world.publish({pod});
  world.settle(1);
  return world.agent().run_dir() + "/pods/pump/data/data.sock";
}

// Records a second that `producers` got an answer for.
double produce(const std::string& socket, int64_t at_most) {
  std::atomic<int64_t> accepted{0};
  std::vector<std::thread> threads;
  const SystemClock clock;
  const MonoTime begin = clock.now();
  for (int i = 0; i < kProducers; ++i) {
    threads.emplace_back([&, i] {
      const std::string request = post("s" + std::to_string(i), body_of(i));
      while (accepted < at_most && (at_most != INT64_MAX || clock.now() - begin < kFor)) {
        if (ask_unix(socket, request).find(" 200 ") != std::string::npos) accepted += kBatch;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(accepted) / seconds(clock.now() - begin);
}

// From a document that is refused to its event at the fleet, in ms.
double fresh_event(test::MqttClient& fleet) {
  const SystemClock clock;
  fleet.clear();
  const MonoTime begin = clock.now();
  fleet.publish_retained("wherry/v1/devices/dev-1/desired",
                         "kind: Nonsense " + std::to_string(begin.time_since_epoch().count()));
  const auto came =
      fleet.wait_for([](const test::MqttMessage& m) { return m.topic.ends_with("/events"); });
  return came ? ms(clock.now() - begin) : -1;
}

}  // namespace

void ingest() {
  World world;
  heading("Records of 256 bytes through the data API, 100 a request, 8 producers, each synced");
  test::TempDir files;
  const double before = bare_sqlite(files / "before.db", record(1), kBatch, kFor);
  world.agent().options().sets = {"telemetry.outbox.max_bytes=1Gi"};
  world.agent().restart();
  const std::string socket = socket_of(world);
  const double rate = produce(socket, INT64_MAX);
  const double floor = (before + bare_sqlite(files / "after.db", record(1), kBatch, kFor)) / 2;
  row("floor: bare SQLite, WAL, FULL, 100 a transaction", floor, "/s", 0);
  row("data API", rate, "/s", 0, "target: at least 20000");
  row("  as a ratio to the floor", rate / floor, "x", 0, "target: at least 0.5");
  world.clear();
}

void drain() {
  World world;
  heading("A backlog of a million records of 256 bytes, drained");
  world.agent().options().sets = {"telemetry.outbox.max_bytes=2Gi"};
  world.agent().restart();
  const std::string socket = socket_of(world);
  world.broker().stop();
  produce(socket, kBacklog);
  const auto left = [&] {
    const std::string answer = ask_unix(socket, "GET /v1/streams HTTP/1.1\r\nHost: data\r\n\r\n");
    const json streams = json::parse(answer.substr(answer.find("\r\n\r\n") + 4))["streams"];
    int64_t all = 0;
    for (const json& stream : streams) {
      all += stream["next"].get<int64_t>() - 1 - stream["acknowledged"].get<int64_t>();
    }
    return all;
  };
  const int64_t records = left();
  const pid_t pid = world.agent_pid();
  const int64_t dirty = footprint(pid).private_dirty;
  reset_peak(pid);
  const int64_t resident_before = resident(pid);
  world.broker().start();
  test::MqttClient fleet(world.broker().port());
  fleet.subscribe("wherry/v1/devices/dev-1/events");
  const SystemClock clock;
  if (!test::wait_until([&] { return left() < records; })) throw std::runtime_error("nothing goes");
  const MonoTime begin = clock.now();
  const int64_t cpu_before = process_cpu_nanoseconds(pid);
  std::vector<double> fresh;
  int64_t most_dirty = 0, now_left = left();
  const int64_t first_left = now_left;
  while (now_left > 0) {
    if (fresh.size() < 5) fresh.push_back(fresh_event(fleet));
    most_dirty = std::max(most_dirty, footprint(pid).private_dirty);
    (void)test::wait_until([] { return false; }, std::chrono::milliseconds(200));
    now_left = left();
    if (clock.now() - begin > std::chrono::minutes(10)) throw std::runtime_error("it does not end");
  }
  const double took = seconds(clock.now() - begin);
  const double rate = static_cast<double>(first_left) / took;
  const double cpu = static_cast<double>(process_cpu_nanoseconds(pid) - cpu_before) / 1e3 /
                     static_cast<double>(first_left);
  // What a message of the agent's holds: 64 KiB of records and their times.
  constexpr size_t kMessage = 64 << 10;
  constexpr double kRecordsAMessage = kMessage / (255.0 + 33);
  constexpr int kFloorMessages = 4000;
  const int port = world.broker().port();
  const double floor = bare_mqtt(port, kMessage, kFloorMessages) * kRecordsAMessage;
  test::TempDir files;
  const double durable =
      durable_mqtt(port, files / "queue.db", kMessage, kFloorMessages) * kRecordsAMessage;
  row("floor: bare QoS 1 loop, 64 KiB a message, 16 in flight", floor, "/s", 0);
  row("floor: the same from a SQLite file, removed when acknowledged", durable, "/s", 0);
  row("drain", rate, "/s", 0);
  row("  as a ratio to the bare loop", rate / floor, "x", 0, "target: at least 0.7");
  row("  as a ratio to the loop from a file", rate / durable, "x", 0);
  row("CPU for each record", cpu, "us", 0);
  row("growth of resident memory at its peak", mib(peak_resident(pid) - resident_before), "MiB", 8);
  row("growth of private dirty memory", mib(most_dirty - dirty), "MiB", 8);
  row("a fresh event meanwhile, median of 5", median(fresh), "ms", 500);
  world.clear();
}

}  // namespace wherry::bench
