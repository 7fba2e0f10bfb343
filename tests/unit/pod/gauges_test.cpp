// What the device says of itself.

#include "runtime/pod/gauges.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

TEST(Gauges, ReadWhatTheKernelSays) {
  const test::TempDir dir;
  const auto write = [&](const std::string& name, const std::string& text) {
    const std::string path = dir / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  };
  Client client({dir / "no.sock", "wherry", "overlayfs"});
  const auto gauges = make_gauges(client, nullptr, {dir / "", "", dir / "proc", dir / "mounts"});
  DeviceGauge device = gauges->device();
  EXPECT_EQ(device.memory_total, 0) << "nothing is known";
  EXPECT_EQ(device.processes_most, 0);
  EXPECT_EQ(device.memory_stalled, 0);

  write("proc/meminfo", "MemTotal:       2048 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB\n");
  write("proc/pressure/memory",
        "some avg10=9.00 avg60=8.00 avg300=7.00 total=1\n"
        "full avg10=3.00 avg60=2.50 avg300=1.00 total=1\n");
  write("proc/loadavg", "0.20 0.18 0.12 1/80 11206\n");
  write("proc/sys/kernel/pid_max", "4194304\n");
  write("proc/sys/kernel/threads-max", "1000\n");
  device = gauges->device();
  EXPECT_EQ(device.memory_total, 2048 << 10);
  EXPECT_EQ(device.memory_available, 1024 << 10);
  EXPECT_EQ(device.memory_stalled, 2.5);
  EXPECT_EQ(device.processes, 80);
  EXPECT_EQ(device.processes_most, 1000);
  ASSERT_EQ(device.disks.size(), 1U);
  EXPECT_EQ(device.disks[0].holds, "the state directory");
  EXPECT_GT(device.disks[0].total, device.disks[0].free);
  EXPECT_FALSE(gauges->pods(true)) << "containerd is not there";
}

}  // namespace
}  // namespace wherry::runtime
