// What a container takes, as cgroups of either version tell it.

#include "runtime/meter.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

class MeterTest : public testing::Test {
 protected:
  void file(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = dir_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::unique_ptr<Meter> meter(const std::vector<std::pair<std::string, std::string>>& mounts) {
    std::string text;
    for (const auto& [type, name] : mounts) {
      text += "30 20 0:26 / " + (dir_ / name) + " rw - " + type + " cgroup rw\n";
    }
    file("mountinfo", text);
    return make_cgroup_meter({"", dir_ / "proc", dir_ / "mountinfo"});
  }

  test::TempDir dir_;
};

TEST_F(MeterTest, Version2) {
  const auto meter = this->meter({{"cgroup2", "unified"}});
  const std::string base = "unified/wherry/web/web-1/";
  file(base + "cpu.stat",
       "usage_usec 2500000\nuser_usec 1\nsystem_usec 1\nnr_throttled 3\nthrottled_usec 750000\n");
  file(base + "memory.current", "5000000\n");
  file(base + "memory.stat", "anon 1\ninactive_file 1000000\nactive_file 2\n");
  file(base + "memory.max", "67108864\n");
  file(base + "memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n");
  file(base + "io.stat",
       "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n259:0 rbytes=11 wbytes=22\n");
  file(base + "pids.current", "4\n");
  ContainerUsage usage = meter->container("web", "web-1");
  EXPECT_EQ(usage.cpu_seconds, 2.5);
  EXPECT_EQ(usage.throttled_seconds, 0.75);
  EXPECT_EQ(usage.memory, 5'000'000);
  EXPECT_EQ(usage.working_set, 4'000'000);
  EXPECT_EQ(usage.memory_limit, 64 << 20);
  EXPECT_EQ(usage.oom_kills, 1);
  EXPECT_EQ(usage.read_bytes, 111);
  EXPECT_EQ(usage.written_bytes, 222);
  EXPECT_EQ(usage.processes, 4);

  file(base + "memory.max", "max\n");
  EXPECT_FALSE(meter->container("web", "web-1").memory_limit);
}

TEST_F(MeterTest, Version1) {
  const auto meter = this->meter({{"cgroup", "cpu,cpuacct"},
                                  {"cgroup", "memory"},
                                  {"cgroup", "blkio"},
                                  {"cgroup", "pids"},
                                  {"tmpfs", "other"}});
  const std::string id = "/wherry/web/web-1/";
  file("cpu,cpuacct" + id + "cpuacct.usage", "2500000000\n");
  file("cpu,cpuacct" + id + "cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 750000000\n");
  file("memory" + id + "memory.usage_in_bytes", "5000000\n");
  file("memory" + id + "memory.stat", "cache 1\ninactive_file 7\ntotal_inactive_file 1000000\n");
  file("memory" + id + "memory.limit_in_bytes", "9223372036854771712\n");
  file("memory" + id + "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  file("blkio" + id + "blkio.throttle.io_service_bytes",
       "8:0 Read 100\n8:0 Write 200\n8:0 Sync 5\n8:0 Total 300\n9:0 Read 11\n9:0 Write "
       "22\nTotal 333\n");
  file("pids" + id + "pids.current", "4\n");
  file("other" + id + "memory.current", "1\n");
  ContainerUsage usage = meter->container("web", "web-1");
  EXPECT_EQ(usage.cpu_seconds, 2.5);
  EXPECT_EQ(usage.throttled_seconds, 0.75);
  EXPECT_EQ(usage.memory, 5'000'000);
  EXPECT_EQ(usage.working_set, 4'000'000);
  EXPECT_FALSE(usage.memory_limit) << "there is none";
  EXPECT_EQ(usage.oom_kills, 1);
  EXPECT_EQ(usage.read_bytes, 111);
  EXPECT_EQ(usage.written_bytes, 222);
  EXPECT_EQ(usage.processes, 4);

  file("memory" + id + "memory.limit_in_bytes", "67108864\n");
  EXPECT_EQ(meter->container("web", "web-1").memory_limit, 64 << 20);
}

TEST_F(MeterTest, OfAContainerThatIsGoneNothingIsKnown) {
  const auto meter = this->meter({{"cgroup2", "unified"}});
  const ContainerUsage usage = meter->container("web", "web-1");
  EXPECT_FALSE(usage.cpu_seconds);
  EXPECT_FALSE(usage.memory);
  EXPECT_FALSE(usage.read_bytes);
  EXPECT_FALSE(meter->traffic("web-1", 7));
}

TEST_F(MeterTest, TrafficIsThatOfThePodsOwnNetwork) {
  const auto meter = this->meter({});
  const auto network = [this](const std::string& process, const std::string& of) {
    file("proc/" + process + "/ns/mark", "");
    const std::string link = dir_ / ("proc/" + process + "/ns/net");
    std::filesystem::remove(link);
    file("namespaces/" + of, "");
    std::filesystem::create_symlink(dir_ / ("namespaces/" + of), link);
  };
  network("self", "host");
  network("42", "pod");
  file("proc/42/cgroup", "4:memory:/wherry/web/web-1\n");
  file("proc/42/net/dev",
       "Inter-|   Receive                                                |  Transmit\n"
       " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
       "    lo: 9000 1 0 0 0 0 0 0 9000 1 0 0 0 0 0 0\n"
       "  eth0:1234567 10 0 0 0 0 0 0 7654321 12 0 0 0 0 0 0\n"
       "  net1: 3 1 0 0 0 0 0 0 4 1 0 0 0 0 0 0\n");
  const auto traffic = meter->traffic("web-1", 42);
  ASSERT_TRUE(traffic);
  EXPECT_EQ(traffic->received, 1234570);
  EXPECT_EQ(traffic->transmitted, 7654325);

  EXPECT_FALSE(meter->traffic("web-2", 42)) << "the number is another's by now";
  network("42", "host");
  EXPECT_FALSE(meter->traffic("web-1", 42)) << "the device tells that itself";
}

}  // namespace
}  // namespace wherry::runtime
