// What a day of telemetry costs, on a clock that the test moves: bytes that go up and bytes that
// are written, through the real outbox.

#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>
#include <random>
#include <sstream>

#include <gtest/gtest.h>

#include "base/files.h"
#include "telemetry/metrics/catalogue.h"
#include "telemetry/metrics/kernel_files.h"
#include "telemetry/metrics/node.h"
#include "telemetry/metrics/sampler.h"
#include "telemetry/outbox/outbox.h"
#include "telemetry/outbox/sender.h"
#include "tests/unit/metrics/readings.h"

namespace wherry::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr Duration kInterval = 60s;
constexpr Duration kGather = 15min;
constexpr int kWorkloads = 10;

// A device with four processors and ten workloads, of which three have something to do.
class BusyDevice {
 public:
  BusyDevice() {
    places_.proc = tree_.path("proc");
    places_.sys = tree_.path("sys");
    places_.directories = {{"state", tree_.path("")}};
    places_.clock_synchronised = [] { return std::optional(true); };
    for (const char* interface : {"eth0", "wlan0"}) {
      const std::string base = std::string("sys/class/net/") + interface + "/";
      tree_.file(base + "device/uevent", "");
      tree_.file(base + "operstate", "up\n");
      tree_.file(base + "statistics/rx_errors", "0\n");
      tree_.file(base + "statistics/tx_errors", "0\n");
    }
    tree_.file("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    tree_.file("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n");
  }

  Readings readings() {
    step();
    Readings all = read_node(places_);
    for (int i = 0; i < kWorkloads; ++i) {
      const bool busy = i < 3;
      const std::string name = "workload-" + std::to_string(i);
      const Labels of{{kWorkload, name}, {kContainer, "main"}};
      Load& load = loads_.at(static_cast<size_t>(i));
      load.cpu += busy ? uniform(10, 30) : uniform(0, 0.3);
      load.memory =
          std::max(8e6, load.memory + (busy ? uniform(-1.5e6, 1.5e6) : uniform(-2e4, 2e4)));
      load.written += busy ? uniform(0, 3e5) : 0;
      load.received += busy ? uniform(1e4, 3e5) : uniform(0, 3e3);
      add(all, kContainerCpu, load.cpu, of);
      add(all, kContainerThrottled, busy ? load.cpu / 50 : 0, of);
      add(all, kContainerMemory, load.memory * 1.3, of);
      add(all, kContainerWorkingSet, load.memory, of);
      add(all, kContainerMemoryLimit, 64 << 20, of);
      add(all, kContainerOomKills, 0, of);
      add(all, kContainerRead, 12e6, of);
      add(all, kContainerWritten, load.written, of);
      add(all, kContainerProcesses, busy ? std::floor(uniform(8, 12)) : 2, of);
      add(all, kContainerRestarts, 0, of);
      add(all, kContainerReady, 1, of);
      add(all, kPodReceived, load.received, {{kWorkload, name}});
      add(all, kPodTransmitted, load.received / 3, {{kWorkload, name}});
    }
    return all;
  }

 private:
  struct Load {
    double cpu = 0, memory = 30e6, written = 0, received = 0;
  };
  double uniform(double from, double to) {
    return std::uniform_real_distribution<double>(from, to)(random_);
  }
  // A minute of each: proc(5) in its own units.
  void step() {
    ++minute_;
    const double busy = uniform(0.15, 0.35);
    user_ += 24000 * busy * 0.7;
    system_ += 24000 * busy * 0.3;
    idle_ += 24000 * (1 - busy);
    load_ = load_ * 0.7 + uniform(0.2, 1.8) * 0.3;
    memory_ = std::clamp(memory_ + uniform(-2e4, 2e4), 5e5, 2e6);
    temperature_ = temperature_ * 0.8 + uniform(44, 56) * 0.2;
    received_ += uniform(1e4, 6e5);
    write("proc/stat", "cpu ", user_, " 0 ", system_, " ", idle_,
          " 120 0 90 0 0 0\ncpu0 1\ncpu1 1\n");
    std::ostringstream load;
    load << load_ << " " << load_ << " " << load_ << " 1/200 999\n";
    tree_.file("proc/loadavg", load.str());
    write("proc/meminfo", "MemTotal: 3884632 kB\nMemAvailable: ", memory_, " kB\n");
    write("proc/uptime", minute_ * 60.0, ".00 1.00\n");
    for (const char* resource : {"cpu", "memory", "io"}) {
      pressure_ += uniform(0, 1e6);
      write(std::string("proc/pressure/") + resource, "some avg10=0.00 total=", pressure_,
            "\nfull avg10=0.00 total=", pressure_ / 3, "\n");
    }
    write("sys/class/thermal/thermal_zone0/temp", temperature_ * 1000, "\n");
    write("sys/class/net/eth0/statistics/rx_bytes", received_, "\n");
    write("sys/class/net/eth0/statistics/tx_bytes", received_ / 2, "\n");
    write("sys/class/net/wlan0/statistics/rx_bytes", minute_ * 100.0, "\n");
    write("sys/class/net/wlan0/statistics/tx_bytes", minute_ * 50.0, "\n");
  }
  static std::string text(const char* part) { return part; }
  static std::string text(double number) { return std::to_string(static_cast<long long>(number)); }
  template <typename... Parts>
  void write(const std::string& name, Parts... parts) {
    tree_.file(name, (text(parts) + ...));
  }

  KernelTree tree_;
  NodePlaces places_;
  std::mt19937 random_{42};
  std::array<Load, kWorkloads> loads_;
  double user_ = 0, system_ = 0, idle_ = 0, load_ = 1, memory_ = 1.5e6, temperature_ = 50;
  double received_ = 0, pressure_ = 0, minute_ = 0;
};

// Bytes given to write(2), and those that the kernel found to be for a disk (proc(5), io), which
// are none on some filesystems.
struct Written {
  double asked = 0, disk = 0;
};
Written written_by_this_process() {
  const std::string text = text_of("/proc/self/io");
  return {number_after(text, "wchar:").value_or(0), number_after(text, "write_bytes:").value_or(0)};
}

TEST(TelemetryBudget, ADayOfTenWorkloadsStaysBelowItsCaps) {
  FakeClock clock;
  const test::TempDir directory;
  auto opened = Outbox::open({directory / "outbox.db"}, clock);
  Outbox& outbox = *opened.outbox;
  Sender sender(outbox, clock, {}, [] { return 0.0; });
  sender.connected(1, true);
  BusyDevice device;

  double up = 0, records = 0, json = 0;
  Written written;
  int batches = 0;
  SamplerOptions options;
  options.interval = kInterval;
  options.gather = kGather;
  options.recorder.node = {kNodeGroups.begin(), kNodeGroups.end()};
  options.recorder.containers = {kContainerGroups.begin(), kContainerGroups.end()};
  options.recorder.cpus = 4;
  Sampler sampler(
      options, clock, [&] { return device.readings(); },
      [&](std::vector<std::string> made) {
        Lines lines;
        for (const std::string& record : made) {
          lines.add(record);
          json += static_cast<double>(record.size());
        }
        records += lines.count;
        const Written before = written_by_this_process();
        ASSERT_TRUE(outbox.append("telemetry", std::move(lines)));
        while (true) {
          auto out = sender.next();
          ASSERT_TRUE(out) << out.error().full();
          if (!*out) break;
          ++batches;
          // PUBLISH with its topic and properties, and the PUBACK (MQTT 5, 3.3 and 3.4).
          up += static_cast<double>((*out)->payload.size() + (*out)->content_type.size()) + 64;
          sender.acknowledged((*out)->ticket, true);
        }
        ASSERT_TRUE(sender.settle(true));
        const Written after = written_by_this_process();
        written.asked += after.asked - before.asked;
        written.disk += after.disk - before.disk;
      });
  for (Duration passed{}; passed < 24h; passed += kInterval) {
    sampler.sample();
    clock.advance(kInterval);
  }
  sampler.stop();
  std::cout << "a day: " << records << " records of " << json / 1e6 << " MB in " << batches
            << " batches; up " << up / 1e6 << " MB, written " << written.asked / 1e6
            << " MB, as the kernel counts " << written.disk / 1e6 << " MB\n";
  RecordProperty("up_bytes", std::to_string(up));
  RecordProperty("written_bytes", std::to_string(written.asked));
  EXPECT_GT(records, 100);
  EXPECT_LT(up, 1e6);
  EXPECT_LT(written.asked, 5e6);
  EXPECT_LT(written.disk, 5e6);
}

}  // namespace
}  // namespace wherry::telemetry
