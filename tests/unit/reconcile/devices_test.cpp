// Devices that are there, are not, come and go: from document to container stack.

#include <filesystem>

#include <gmock/gmock.h>

#include "agent/reconcile/admission.h"
#include "runtime/device/host_devices.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/specs.h"

namespace wherry::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kCamera = "example.com/camera";

class Cameras : public testing::Test {
 protected:
  Cameras() {
    scene.devices = std::make_shared<runtime::DeviceInventory>();
    there(2);
  }
  void there(int count) {
    runtime::DeviceStock stock;
    stock.looked_for = "/dev/video*";
    for (int i = 0; i < count; ++i) stock.units["/dev/video" + std::to_string(i)] = "c 81:0";
    stock.total = count;
    scene.devices->resources[kCamera] = stock;
  }
  static WorkloadSpec asking(const std::string& name, int64_t count, int32_t priority = 0) {
    WorkloadSpec spec = workload(name);
    spec.priority = priority;
    spec.pod.containers[0].resources.extended[kCamera] = count;
    return spec;
  }
  void want(const WorkloadSpec& spec) {
    scene.want(spec);
    scene.images_present(spec.name());
  }
  void run(const WorkloadSpec& spec, const std::vector<std::string>& units) {
    want(spec);
    scene.runs(spec);
    for (const std::string& unit : units) {
      scene.observed[spec.name()].containers[0].devices.push_back({kCamera, unit});
    }
  }
  bool starts(const std::string& name) {
    const Verdict verdict = scene.verdict(name);
    return verdict.action && verdict.action->kind == ActionKind::Start;
  }
  Scene scene;
};

TEST_F(Cameras, AreCountedAsMemoryIs) {
  run(asking("a", 1), {"/dev/video0"});
  want(asking("b", 1));
  EXPECT_TRUE(starts("b"));
  want(asking("c", 1));
  EXPECT_TRUE(starts("b")) << "by name";
  EXPECT_EQ(scene.verdict("c").reason, "InsufficientDevices");
  EXPECT_EQ(scene.verdict("c").phase, Phase::Pending);
  EXPECT_EQ(scene.verdict("c").message,
            "it asks for 1 of example.com/camera, and 0 of the 2 for workloads are free; held by a "
            "(1), b (1)");
}

TEST_F(Cameras, AreTakenFromThoseOfLowerPriority) {
  run(asking("a", 1), {"/dev/video0"});
  run(asking("b", 1), {"/dev/video1"});
  want(asking("high", 2, 5));
  EXPECT_EQ(scene.verdict("a").reason, "Preempted");
  EXPECT_EQ(scene.verdict("b").reason, "Preempted");
}

TEST_F(Cameras, NobodyGoesForOneThatIsNotThere) {
  run(asking("a", 1), {"/dev/video0"});
  want(asking("high", 3, 5));
  EXPECT_FALSE(scene.verdict("a").action);
  EXPECT_EQ(scene.verdict("high").reason, "WaitingForDevice");
  EXPECT_THAT(scene.verdict("high").message,
              HasSubstr("and 2 are there: it waits for a device node at /dev/video*; connect it"));
}

TEST_F(Cameras, OneThatWentIsNobodysAndLeavesItsContainerAlone) {
  run(asking("a", 1), {"/dev/video7"});
  want(asking("b", 2));
  EXPECT_TRUE(starts("b")) << "two are there, and the one that a has is not among them";
  const Verdict verdict = scene.verdict("a");
  EXPECT_FALSE(verdict.action);
  EXPECT_TRUE(verdict.ready);
  EXPECT_EQ(verdict.phase, Phase::Running);
  EXPECT_EQ(verdict.reason, "DeviceLost");
  EXPECT_THAT(verdict.message, HasSubstr("/dev/video7 of container app (example.com/camera)"));
  scene.devices = std::make_shared<runtime::DeviceInventory>();
  EXPECT_EQ(scene.verdict("a").reason, "DeviceNotConfigured") << "it was taken out of the list";
}

TEST_F(Cameras, WhatAnUnfinishedStartHasLeftIsNobodyElses) {
  there(1);
  run(asking("a", 1), {"/dev/video0"});
  scene.observed["a"].containers[0].state = runtime::ContainerState::Created;
  EXPECT_TRUE(starts("a")) << "the next start removes it";
  want(asking("b", 1));
  EXPECT_FALSE(starts("b"));
}

TEST_F(Cameras, AreKnownByAnotherNameToo) {
  run(asking("a", 1), {});
  scene.observed["a"].containers[0].devices.push_back({kCamera, "/dev/serial0", "c 81:0"});
  EXPECT_EQ(scene.verdict("a").reason, "");
  want(asking("b", 2));
  EXPECT_FALSE(starts("b"));
}

TEST_F(Cameras, WhatAnUnknownVersionHasIsKnownByItsContainer) {
  run(asking("a", 2), {"/dev/video0", "/dev/video1"});
  scene.observed["a"].hash = "of a document nobody remembers";
  scene.memory["a"].images = ImagesState::Missing;
  want(asking("b", 1, 1));
  EXPECT_FALSE(starts("b"));
}

TEST_F(Cameras, WhatNobodyConfiguredIsWaitedFor) {
  WorkloadSpec spec = workload("web");
  spec.pod.containers[0].resources.extended["example.com/camra"] = 1;
  want(spec);
  EXPECT_EQ(scene.verdict("web").reason, "DeviceNotConfigured");
  EXPECT_THAT(scene.verdict("web").message, HasSubstr("(did you mean example.com/camera?)"));
  EXPECT_THAT(scene.verdict("web").message, HasSubstr("add it to devices in wherry.yaml"));
}

TEST_F(Cameras, HugePagesAreCountedInBytes) {
  scene.devices->resources["hugepages-2Mi"].total = 8 << 20;
  const auto pages = [](const std::string& name, int64_t mebi) {
    WorkloadSpec spec = workload(name);
    spec.pod.containers[0].resources.extended["hugepages-2Mi"] = mebi << 20;
    return spec;
  };
  run(pages("a", 6), {});
  want(pages("b", 4));
  EXPECT_EQ(scene.verdict("b").reason, "InsufficientHugePages");
  EXPECT_THAT(scene.verdict("b").message,
              HasSubstr("2.0 MiB of the 8.0 MiB for workloads are free"));
  want(pages("c", 2));
  EXPECT_TRUE(starts("c"));
  want(pages("d", 10));
  EXPECT_THAT(scene.verdict("d").message, HasSubstr("the kernel keeps 8.0 MiB of them ready"));
}

TEST_F(Cameras, InitContainersHaveThemOneAfterTheOther) {
  WorkloadSpec spec = asking("a", 1);
  runtime::ContainerSpec init = spec.pod.containers[0];
  init.name = "init";
  init.role = runtime::ContainerRole::Init;
  init.resources.extended[kCamera] = 2;
  spec.pod.containers.insert(spec.pod.containers.begin(), init);
  EXPECT_EQ(request_of(spec.pod).extended.at(kCamera), 2);
}

// With the fake container stack, and nodes in a directory of the test.
class DevicesBench : public BenchTest {
 protected:
  DevicesBench() {
    runtime::DeviceOptions options;
    options.classes[kCamera].paths = {dir_ / "cam*"};
    options.cdi_dirs = {dir_ / "cdi"};
    options.huge_pages = dir_ / "pages";
    host_.set(std::move(options));
    runtime_.use(host_);
    devices_ = &host_;
    fresh();
    spin();
  }
  void plug(const std::string& name, const std::string& device) {
    std::filesystem::create_symlink("/dev/" + device, dir_ / name);
  }
  void unplug(const std::string& name) { std::filesystem::remove(dir_ / name); }
  static std::string asking(const std::string& name, const std::string& annotations = "{}",
                            const std::string& limits = "{ example.com/camera: 1 }",
                            int priority = 0) {
    return "{ apiVersion: v1, kind: Pod, metadata: { name: " + name +
           ", annotations: " + annotations + " }, spec: { priority: " + std::to_string(priority) +
           ", hostNetwork: true, containers: [{ name: app, image: \"img:1\", resources: "
           "{ limits: " +
           limits + " } }] } }\n";
  }
  std::string unit(const std::string& name) {
    const auto pods = runtime_.observe();
    for (const auto& pod : *pods) {
      if (pod.name != name || pod.containers.empty() || pod.containers[0].devices.empty()) continue;
      return std::filesystem::path(pod.containers[0].devices[0].unit).filename();
    }
    return "";
  }
  static constexpr Duration kSecond = std::chrono::seconds(1);

  TempDir dir_;
  runtime::HostDevices host_{{}};
};

TEST_F(DevicesBench, ItStartsByItselfWhenTheDeviceComes) {
  apply(document(1, {asking("web")}));
  EXPECT_EQ(workload("web").phase, Phase::Pending);
  EXPECT_EQ(workload("web").reason, "WaitingForDevice");
  EXPECT_THAT(workload("web").message, HasSubstr(dir_ / "cam*"));
  advance(10 * kSecond);
  EXPECT_THAT(runtime_.history(), Not(Contains(HasSubstr("start"))));
  plug("cam0", "full");
  advance(kSecond);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").reason, "");
  EXPECT_EQ(unit("web"), "cam0");
}

TEST_F(DevicesBench, NoneIsSharedAlsoByTheNextLifeOfTheAgent) {
  plug("cam0", "full");
  plug("cam1", "zero");
  apply(document(1, {asking("a"), asking("b"), asking("c")}));
  const std::string first = unit("a"), second = unit("b");
  EXPECT_NE(first, second);
  EXPECT_EQ(workload("c").reason, "InsufficientDevices");
  const uint32_t before = pid("a");
  fresh();
  spin();
  EXPECT_EQ(pid("a"), before);
  EXPECT_EQ(unit("a"), first);
  EXPECT_EQ(workload("c").reason, "InsufficientDevices");
  apply(document(2, {asking("b"), asking("c")}));
  EXPECT_EQ(unit("c"), first);
  EXPECT_EQ(unit("b"), second);
}

TEST_F(DevicesBench, OneOfHigherPriorityGetsTheDeviceOfALowerOne) {
  plug("cam0", "full");
  apply(document(1, {asking("low")}));
  ASSERT_EQ(workload("low").phase, Phase::Running);
  apply(document(2, {asking("low"), asking("high", "{}", "{ example.com/camera: 1 }", 5)}));
  EXPECT_EQ(workload("high").phase, Phase::Running) << workload("high").message;
  EXPECT_EQ(workload("low").phase, Phase::Pending);
  EXPECT_THAT(workload("low").message, HasSubstr("stopped to make room for high"));
}

TEST_F(DevicesBench, AnUpdateGetsTheDeviceOfThePreviousVersion) {
  plug("cam0", "full");
  apply(document(1, {asking("web")}));
  const uint32_t before = pid("web");
  apply(document(2, {asking("web", "{ a: b }", "{ example.com/camera: 1, memory: 64Mi }")}));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_NE(pid("web"), before) << "its class of service changed";
  EXPECT_EQ(unit("web"), "cam0");
  // One that asks for more than there is leaves the previous one running.
  const uint32_t kept = pid("web");
  apply(document(3, {asking("web", "{}", "{ example.com/camera: 2 }")}));
  EXPECT_EQ(pid("web"), kept);
  EXPECT_EQ(workload("web").reason, "WaitingForDevice");
  EXPECT_THAT(workload("web").message, HasSubstr("the previous version keeps running"));
}

TEST_F(DevicesBench, AnUnpluggedDeviceLeavesItsContainerUntilItEnds) {
  plug("cam0", "full");
  apply(document(1, {asking("web")}));
  const uint32_t before = pid("web");
  unplug("cam0");
  advance(10 * kSecond);
  EXPECT_EQ(pid("web"), before);
  EXPECT_TRUE(workload("web").ready);
  EXPECT_EQ(workload("web").reason, "DeviceLost");
  // Another number when it is back replaces nothing either.
  plug("cam0", "zero");
  advance(10 * kSecond);
  EXPECT_EQ(pid("web"), before);
  EXPECT_EQ(workload("web").reason, "");
  unplug("cam0");
  advance(10 * kSecond);
  ASSERT_TRUE(runtime_.exit_container("web", "app", 1));
  advance(std::chrono::minutes(1));
  EXPECT_EQ(workload("web").phase, Phase::Pending);
  EXPECT_EQ(workload("web").reason, "WaitingForDevice");
  plug("cam3", "random");
  advance(kSecond);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(unit("web"), "cam3");
}

TEST_F(DevicesBench, AStartThatFindsNoneIsTriedAgainWhenOneIsThere) {
  plug("cam0", "full");
  apply(document(1, {asking("web")}));
  unplug("cam0");
  // Before anybody looks again: the container stack finds out.
  ASSERT_TRUE(runtime_.exit_container("web", "app", 1));
  clock_.advance(kSecond);
  spin();
  advance(std::chrono::minutes(1));
  EXPECT_EQ(workload("web").reason, "WaitingForDevice");
  plug("cam0", "full");
  advance(kSecond);
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

TEST_F(DevicesBench, ACdiDeviceByAnnotationIsWaitedForToo) {
  apply(document(1, {asking("web", "{ cdi.k8s.io/gpu: vendor.com/gpu=0 }", "{}")}));
  EXPECT_EQ(workload("web").reason, "WaitingForDevice");
  EXPECT_THAT(workload("web").message, HasSubstr("vendor.com/gpu=0"));
  std::filesystem::create_directories(dir_ / "cdi");
  write_text(dir_ / "cdi/bad.yaml", "kind: vendor.com/gpu\n");
  advance(kSecond);
  EXPECT_THAT(workload("web").message, HasSubstr("bad.yaml: cdiVersion: is required"));
  EXPECT_EQ(records_.events("InvalidCDISpec"), 1U);
  write_text(dir_ / "cdi/gpu.yaml",
             "cdiVersion: '0.6.0'\nkind: vendor.com/gpu\ndevices: [{ name: '0' }]\n");
  advance(kSecond);
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

TEST_F(DevicesBench, ACdiDeviceOfWhichTheNodeComesLaterStartsAtOnce) {
  std::filesystem::create_directories(dir_ / "cdi");
  write_text(dir_ / "cdi/gpu.yaml",
             "cdiVersion: '0.6.0'\nkind: vendor.com/gpu\ndevices: [{ name: '0', containerEdits: { "
             "deviceNodes: [{ path: /dev/gpu, hostPath: '" +
                 (dir_ / "gpu0") + "' }] } }]\n");
  apply(document(1, {asking("web", "{ cdi.k8s.io/gpu: vendor.com/gpu=0 }", "{}")}));
  EXPECT_EQ(workload("web").reason, "WaitingForDevice");
  EXPECT_THAT(workload("web").message, HasSubstr((dir_ / "gpu0") + ", which is not there"));
  plug("gpu0", "full");
  advance(kSecond);
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

// A container that waits for its device must not keep its siblings from what changes for them.
TEST_F(Cameras, SiblingsOfOneThatWaitsGetTheirFilesAndSizes) {
  WorkloadSpec spec = asking("a", 1);
  runtime::ContainerSpec web = spec.pod.containers[0];
  web.name = "web";
  web.resources.extended.clear();
  spec.pod.containers.push_back(web);
  spec.pod.files_hash = "new";
  want(spec);
  scene.runs(spec);
  scene.memory["a"].files_hash = "old";
  scene.observed["a"].network_ready = true;
  auto& cam = scene.observed["a"].containers[0];
  cam.state = runtime::ContainerState::Exited;
  cam.devices.clear();
  there(0);
  const Verdict verdict = scene.verdict("a");
  EXPECT_EQ(verdict.reason, "WaitingForDevice");
  EXPECT_EQ(verdict.phase, Phase::Running);
  ASSERT_TRUE(verdict.action);
  EXPECT_EQ(verdict.action->kind, ActionKind::UpdateFiles);
}

TEST_F(DevicesBench, ConfigurationThatComesLaterStartsIt) {
  apply(document(1, {asking("web", "{}", "{ example.com/radio: 1 }")}));
  EXPECT_EQ(workload("web").phase, Phase::Pending);
  EXPECT_EQ(workload("web").reason, "DeviceNotConfigured");
  plug("radio0", "zero");
  runtime::DeviceOptions options;
  options.classes["example.com/radio"].paths = {dir_ / "radio*"};
  host_.set(std::move(options));
  mailbox_.post([](Mail& mail) { mail.devices_changed = true; });
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

TEST_F(DevicesBench, NobodyLooksWhereNobodyAsks) {
  apply(document(1, {asking("web", "{}", "{}")}));
  advance(10 * kSecond);  // what was to be told is told
  const auto wake = reconciler_->wake_at();
  ASSERT_TRUE(wake);
  EXPECT_GT(*wake - clock_.now(), std::chrono::minutes(1));
}

}  // namespace
}  // namespace wherry::test
