// What two very different boards say of themselves.

#include "telemetry/metrics/node.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/unit/metrics/readings.h"

namespace wherry::telemetry {
namespace {

class NodeTest : public testing::Test {
 protected:
  NodeTest() {
    places_.proc = tree_.path("proc");
    places_.sys = tree_.path("sys");
  }

  void common() const {
    tree_.file("proc/loadavg", "0.52 0.40 0.31 2/180 4711\n");
    tree_.file("proc/uptime", "86400.50 300000.00\n");
  }
  void interface(const std::string& name, bool hardware, const std::string& state,
                 const std::string& received) const {
    const std::string base = "sys/class/net/" + name + "/";
    if (hardware) tree_.file(base + "device/uevent", "");
    tree_.file(base + "operstate", state + "\n");
    tree_.file(base + "flags", "0x1003\n");
    tree_.file(base + "statistics/rx_bytes", received + "\n");
    tree_.file(base + "statistics/tx_bytes", "2000\n");
    tree_.file(base + "statistics/rx_errors", "3\n");
    tree_.file(base + "statistics/tx_errors", "4\n");
  }
  // A Raspberry Pi 4: no swap, no PSI, one thermal zone, firmware that tells of throttling.
  void raspberry() const {
    common();
    tree_.file("proc/stat",
               "cpu  1000 200 300 40000 50 6 7 0 0 0\ncpu0 250 50 75 10000 12 1 1 0 0 0\n"
               "cpu1 250 50 75 10000 12 1 1 0 0 0\ncpu2 250 50 75 10000 12 1 1 0 0 0\n"
               "cpu3 250 50 75 10000 12 1 1 0 0 0\nintr 1 2 3\nbtime 1790000000\n");
    tree_.file("proc/meminfo",
               "MemTotal:        3884632 kB\nMemFree:  100 kB\nMemAvailable:    3000000 kB\n"
               "SwapTotal:             0 kB\nSwapFree:              0 kB\n");
    tree_.file("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    tree_.file("sys/class/thermal/thermal_zone0/temp", "48312\n");
    tree_.file("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
    interface("eth0", true, "up", "1000");
    interface("wlan0", true, "down", "5");
    interface("wwan0", true, "unknown", "7");
    interface("wherry0", false, "up", "9");
    interface("veth12ab", false, "up", "11");
    interface("lo", false, "unknown", "13");
  }
  // Two cores with two threads each, one package.
  void pc() const {
    common();
    tree_.file("proc/stat",
               "cpu  100 0 50 800 0 0 0 25 0 0\ncpu0 50 0 25 400 0 0 0 0 0 0\n"
               "cpu1 50 0 25 400 0 0 0 0 0 0\n");
    tree_.file("proc/meminfo",
               "MemTotal:       16000000 kB\nMemAvailable:   8000000 kB\nSwapTotal:       2000000 "
               "kB\nSwapFree:        1500000 kB\n");
    const std::string psi = "avg10=0.00 avg60=0.10 avg300=0.00 total=";
    tree_.file("proc/pressure/cpu", "some " + psi + "2500000\nfull " + psi + "0\n");
    tree_.file("proc/pressure/memory", "some " + psi + "1000000\nfull " + psi + "500000\n");
    tree_.file("proc/pressure/io", "some " + psi + "3000000\nfull " + psi + "2000000\n");
    tree_.file("sys/class/thermal/thermal_zone0/type", "acpitz\n");
    tree_.file("sys/class/thermal/thermal_zone0/temp", "27800\n");
    tree_.file("sys/class/thermal/thermal_zone1/type", "acpitz\n");
    tree_.file("sys/class/thermal/thermal_zone1/temp", "29800\n");
    tree_.file("sys/class/thermal/thermal_zone2/type", "x86_pkg_temp\n");
    tree_.file("sys/class/thermal/thermal_zone2/temp", "61000\n");
    tree_.file("sys/class/thermal/thermal_zone10/type", "broken\n");
    tree_.file("sys/class/thermal/thermal_zone10/temp", "-274000\n");
    for (int cpu = 0; cpu < 4; ++cpu) {
      const std::string base = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/";
      tree_.file(base + "topology/physical_package_id", "0\n");
      tree_.file(base + "topology/core_id", std::to_string(cpu / 2) + "\n");
      tree_.file(base + "thermal_throttle/core_throttle_count", cpu < 2 ? "5\n" : "2\n");
      tree_.file(base + "thermal_throttle/package_throttle_count", "9\n");
    }
    tree_.file("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "1000000\n");
  }

  Readings read() { return read_node(places_); }
  std::optional<double> value(std::string_view name, const std::vector<std::string>& labels = {}) {
    return value_of(read(), "wherry_node_" + std::string(name), labels);
  }

  KernelTree tree_;
  NodePlaces places_;
};

TEST_F(NodeTest, ABoardThatTellsNothingIsNoError) {
  EXPECT_TRUE(read().empty());
  tree_.file("proc/stat", "");
  tree_.file("proc/meminfo", "MemTotal: lots\n");
  tree_.file("proc/loadavg", "nan\n");
  tree_.file("proc/pressure/memory", "some avg10=0.00\n");
  tree_.file("sys/class/thermal/thermal_zone0/temp", "");
  tree_.file("sys/devices/platform/soc/soc:firmware/get_throttled", "what\n");
  places_.directories = {{"state", tree_.path("nowhere")}};
  places_.clock_synchronised = [] { return std::optional<bool>(); };
  EXPECT_TRUE(read().empty());
}

TEST_F(NodeTest, NothingIsEverNotANumber) {
  Readings readings;
  constexpr Metric kAny{"x", "x"};
  add(readings, kAny, std::nullopt);
  add(readings, kAny, std::numeric_limits<double>::quiet_NaN());
  add(readings, kAny, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(readings.empty());
}

TEST_F(NodeTest, ARaspberryPi) {
  raspberry();
  EXPECT_EQ(value("cpu_seconds_total", {"user"}), 10.0);
  EXPECT_EQ(value("cpu_seconds_total", {"idle"}), 400.0);
  EXPECT_EQ(value("cpu_seconds_total", {"steal"}), 0.0);
  EXPECT_EQ(value("cpus"), 4);
  EXPECT_EQ(value("load1"), 0.52);
  EXPECT_EQ(value("load15"), 0.31);
  EXPECT_EQ(value("memory_total_bytes"), 3884632.0 * 1024);
  EXPECT_EQ(value("memory_available_bytes"), 3000000.0 * 1024);
  EXPECT_FALSE(value("swap_total_bytes")) << "it has none";
  EXPECT_FALSE(value("pressure_waiting_seconds_total", {"cpu"}));
  EXPECT_EQ(value("temperature_celsius", {"cpu-thermal"}), 48.312);
  EXPECT_EQ(value("uptime_seconds"), 86400.5);
  // 0x50005: under-voltage and throttled, now and since boot.
  EXPECT_EQ(value("throttling_active", {"under_voltage"}), 1);
  EXPECT_EQ(value("throttling_active", {"frequency_capped"}), 0);
  EXPECT_EQ(value("throttling_active", {"throttled"}), 1);
  EXPECT_EQ(value("throttling_since_boot", {"under_voltage"}), 1);
  EXPECT_EQ(value("throttling_since_boot", {"soft_temperature_limit"}), 0);
  EXPECT_FALSE(value("cpu_throttles_total", {"core"}));
}

TEST_F(NodeTest, OnlyHardwareThatIsUpHasTraffic) {
  raspberry();
  EXPECT_EQ(value("network_receive_bytes_total", {"eth0"}), 1000);
  EXPECT_EQ(value("network_transmit_bytes_total", {"eth0"}), 2000);
  EXPECT_EQ(value("network_receive_errors_total", {"eth0"}), 3);
  EXPECT_EQ(value("network_transmit_errors_total", {"eth0"}), 4);
  EXPECT_EQ(value("network_receive_bytes_total", {"wwan0"}), 7) << "its driver knows no state";
  for (const char* name : {"wlan0", "wherry0", "veth12ab", "lo"}) {
    EXPECT_FALSE(value("network_receive_bytes_total", {name})) << name;
  }
}

TEST_F(NodeTest, APc) {
  pc();
  EXPECT_EQ(value("cpu_seconds_total", {"steal"}), 0.25);
  EXPECT_EQ(value("cpus"), 2);
  EXPECT_EQ(value("swap_total_bytes"), 2000000.0 * 1024);
  EXPECT_EQ(value("swap_free_bytes"), 1500000.0 * 1024);
  EXPECT_EQ(value("pressure_waiting_seconds_total", {"cpu"}), 2.5);
  EXPECT_FALSE(value("pressure_stalled_seconds_total", {"cpu"})) << "means nothing";
  EXPECT_EQ(value("pressure_stalled_seconds_total", {"memory"}), 0.5);
  EXPECT_EQ(value("pressure_stalled_seconds_total", {"io"}), 2.0);
  EXPECT_EQ(value("temperature_celsius", {"acpitz"}), 27.8);
  EXPECT_EQ(value("temperature_celsius", {"acpitz-1"}), 29.8);
  EXPECT_EQ(value("temperature_celsius", {"x86_pkg_temp"}), 61);
  EXPECT_FALSE(value("temperature_celsius", {"broken"}));
  EXPECT_EQ(value("cpu_throttles_total", {"core"}), 7) << "each core once";
  EXPECT_EQ(value("cpu_throttles_total", {"package"}), 9);
  EXPECT_FALSE(value("throttling_active", {"under_voltage"}));
}

TEST_F(NodeTest, AFilesystemIsToldOnce) {
  places_.directories = {{"state", tree_.path("")}, {"containerd", tree_.path("")}};
  tree_.file("content", std::string(64 << 10, 'x'));  // a fresh tmpfs has none
  EXPECT_GT(value("filesystem_size_bytes", {"state"}).value_or(0),
            value("filesystem_available_bytes", {"state"}).value_or(0));
  EXPECT_GT(value("filesystem_used_bytes", {"state"}).value_or(0), 0);
  EXPECT_GT(value("filesystem_inodes_free", {"state"}).value_or(0), 0);
  EXPECT_FALSE(value("filesystem_size_bytes", {"containerd"}));
  places_.directories.push_back({"other", "/dev/shm"});
  EXPECT_TRUE(value("filesystem_size_bytes", {"other"}));
}

TEST_F(NodeTest, TheClockIsAsked) {
  places_.clock_synchronised = [] { return std::optional(false); };
  EXPECT_EQ(value("clock_synchronised"), 0);
  places_.clock_synchronised = [] { return std::optional(true); };
  EXPECT_EQ(value("clock_synchronised"), 1);
}

TEST_F(NodeTest, TheRealKernelIsUnderstood) {
  const Readings node = read_node({});
  EXPECT_GT(value_of(node, "wherry_node_cpu_seconds_total", {"idle"}).value_or(0), 0);
  EXPECT_GT(value_of(node, "wherry_node_memory_available_bytes").value_or(0), 1 << 20);
  const Readings process = read_process();
  EXPECT_GT(value_of(process, "process_resident_memory_bytes").value_or(0), 1 << 20);
  EXPECT_GE(value_of(process, "process_threads").value_or(0), 1);
  EXPECT_GT(value_of(process, "process_start_time_seconds").value_or(0), 1.5e9);
  EXPECT_TRUE(value_of(process, "wherry_agent_written_bytes_total"));
}

}  // namespace
}  // namespace wherry::telemetry
