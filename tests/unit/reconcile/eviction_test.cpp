// When the device runs short, and who goes.

#include "agent/reconcile/eviction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/reconcile/specs.h"

namespace wherry::test {
namespace {

using testing::HasSubstr;

constexpr int64_t kMi = 1 << 20;

TEST(Pressure, IsSeenOfEachKindWithTheNumbers) {
  runtime::DeviceGauge device;
  EXPECT_EQ(find_pressure(device, 200 * kMi).of, Shortage::None) << "nothing is known";
  device.memory_total = 8000 * kMi;
  device.memory_available = 100 * kMi;
  device.processes_most = 1000;
  device.processes = 950;
  device.disks = {{"x", 1000 * kMi, 100 * kMi}};
  EXPECT_EQ(find_pressure(device, 200 * kMi).of, Shortage::None);

  device.disks[0].free -= 1;
  EXPECT_EQ(find_pressure(device, 200 * kMi).of, Shortage::Disk);
  EXPECT_THAT(find_pressure(device, 200 * kMi).message, HasSubstr("the disk of x is full"));
  EXPECT_EQ(find_pressure(device, 0).of, Shortage::None) << "nothing is kept free";
  device.disks[0] = {"x", 64 * kMi, 7 * kMi};
  EXPECT_EQ(find_pressure(device, 200 * kMi).of, Shortage::None) << "a small disk has less";
  device.disks.clear();
  device.processes = 951;
  EXPECT_EQ(find_pressure(device, 0).of, Shortage::Processes);
  EXPECT_THAT(find_pressure(device, 0).message, HasSubstr("951"));
  device.memory_stalled = 41;
  EXPECT_EQ(find_pressure(device, 0).of, Shortage::Memory);
  EXPECT_THAT(find_pressure(device, 0).message, HasSubstr("41 %"));
  device.memory_available = 1000 * kMi;
  EXPECT_EQ(find_pressure(device, 0).of, Shortage::Processes) << "one waits at its own limit";
  device.memory_available = 100 * kMi;
  device.memory_stalled = 0;
  device.memory_available -= 1;
  EXPECT_EQ(find_pressure(device, 0).of, Shortage::Memory);
  device.memory_total = 1000 * kMi;
  EXPECT_EQ(find_pressure(device, 0).of, Shortage::Processes) << "a small device has less";
}

class Evicted : public testing::Test {
 protected:
  void runs(const std::string& name, int32_t priority, int64_t asks, int64_t uses) {
    WorkloadSpec spec = workload(name);
    spec.priority = priority;
    spec.pod.containers[0].resources.memory_request = asks * kMi;
    scene.want(spec);
    scene.runs(spec);
    usage[name].memory = uses * kMi;
  }
  std::string who(Shortage of = Shortage::Memory) const {
    const auto chosen = choose_evicted(scene.input(), {of, "short"}, usage);
    return chosen ? chosen->workload : "";
  }
  Scene scene;
  std::map<std::string, runtime::PodUsage> usage;
};

TEST_F(Evicted, ThoseAboveWhatTheyAskForGoFirst) {
  runs("modest", -5, 100, 90);
  runs("greedy", 5, 10, 20);
  EXPECT_EQ(who(), "greedy");
}

TEST_F(Evicted, ThenThoseOfLowerPriorityThenThoseThatUseMoreBeyond) {
  runs("low", 1, 10, 20);
  runs("middle", 5, 10, 900);
  EXPECT_EQ(who(), "low");
  runs("worse", 1, 10, 30);
  EXPECT_EQ(who(), "worse");
}

TEST_F(Evicted, TheSystemsPodsStayAndThoseThatUseNothing) {
  runs("system", kCriticalPriority, 0, 500);
  runs("idle", 0, 0, 0);
  EXPECT_EQ(who(), "");
  usage["idle"].processes = 3;
  EXPECT_EQ(who(Shortage::Processes), "idle");
}

TEST_F(Evicted, NobodyElseWhileOneIsBeingStopped) {
  runs("a", 0, 0, 10);
  runs("b", 0, 0, 5);
  scene.memory["a"].evicting = true;
  EXPECT_EQ(who(), "");
  scene.memory["a"].evicting = false;
  scene.told("a", std::chrono::seconds(10));
  EXPECT_EQ(who(), "");
  scene.told("a", std::chrono::hours(1));
  EXPECT_EQ(who(), "b") << "so long nobody waits";
}

class DiskLimits : public testing::Test {
 protected:
  DiskLimits() {
    spec.pod.containers[0].resources.storage_limit = 10 * kMi;
    runtime::Volume volume;
    volume.name = "data";
    volume.size_limit = 5 * kMi;
    spec.pod.volumes = {volume};
    again();
    usage["web"].containers["app"] = 10 * kMi;
    usage["web"].volumes["data"] = 5 * kMi;
  }
  void again() {
    scene.want(spec);
    scene.runs(spec);
  }
  std::string excess() const {
    const auto over = over_disk_limits(scene.input(), usage);
    return over.empty() ? "" : over[0].message;
  }
  WorkloadSpec spec = workload("web");
  Scene scene;
  std::map<std::string, runtime::PodUsage> usage;
};

TEST_F(DiskLimits, ArePassedByAVolumeAContainerOrThePod) {
  EXPECT_EQ(excess(), "");
  usage["web"].containers["app"] += 1;
  EXPECT_EQ(excess(),
            "container app took 10.0 MiB of the disk for files and log, more than 10.0 MiB, its "
            "limit of ephemeral-storage");
  usage["web"].volumes["data"] += 1;
  EXPECT_EQ(excess(), "its emptyDir data holds 5.0 MiB, more than 5.0 MiB, its sizeLimit");
  usage["web"] = {};
  usage["web"].disk = 11 * kMi;
  EXPECT_THAT(excess(), HasSubstr("together"));
  scene.memory["web"].evicting = true;
  EXPECT_EQ(excess(), "") << "it goes already";
}

TEST_F(DiskLimits, AreLookedForOnlyWhereThereAreAny) {
  EXPECT_TRUE(has_disk_limits(scene.desired));
  spec.pod.containers[0].resources.storage_limit = 0;
  again();
  EXPECT_TRUE(has_disk_limits(scene.desired));
  spec.pod.volumes[0].memory = true;
  again();
  EXPECT_FALSE(has_disk_limits(scene.desired)) << "the kernel sees to it";
}

}  // namespace
}  // namespace wherry::test
