// Which devices there are, who gets which, and what a specification gains by them.

#include "runtime/device/host_devices.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/spec/oci_spec.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kCamera = "example.com/camera";

class HostDevicesTest : public testing::Test {
 protected:
  HostDevicesTest() {
    std::filesystem::create_directories(dir_ / "cdi");
    std::filesystem::create_directories(dir_ / "pages/hugepages-2048kB");
    options_.cdi_dirs = {dir_ / "cdi"};
    options_.huge_pages = dir_ / "pages";
    options_.classes[kCamera].paths = {dir_ / "cam*"};
    pod_.name = "web";
    container_.name = "app";
  }
  // Links to devices that every machine has: null, zero, full, random.
  void plug(const std::string& name, const std::string& device) {
    std::filesystem::create_symlink("/dev/" + device, dir_ / name);
  }
  Result<DeviceGrant> choose(int64_t count, const std::vector<HeldDevice>& taken = {},
                             const std::vector<HeldDevice>& before = {}) {
    container_.resources.extended[kCamera] = count;
    HostDevices devices(options_);
    return devices.choose(pod_, container_, taken, before);
  }
  static std::vector<std::string> units(const Result<DeviceGrant>& grant) {
    std::vector<std::string> names;
    if (!grant) return {std::string(grant.error().reason())};
    for (const HeldDevice& device : grant->held) {
      names.push_back(std::filesystem::path(device.unit).filename());
    }
    return names;
  }
  HeldDevice held(const std::string& name, const std::string& number = "") {
    return {kCamera, dir_ / name, number};
  }

  test::TempDir dir_;
  DeviceOptions options_;
  PodSpec pod_;
  ContainerSpec container_;
};

TEST_F(HostDevicesTest, AnInventoryNamesWhatIsThere) {
  plug("cam0", "zero");
  plug("cam1", "full");
  plug("cam-front", "full");  // a second name of the same one
  test::write_text(dir_ / "cam9", "no device");
  test::write_text(dir_ / "pages/hugepages-2048kB/nr_hugepages", "8\n");
  options_.classes[kCamera].shared = 3;
  const DeviceInventory inventory = HostDevices(options_).inventory();
  const DeviceStock& stock = inventory.resources.at(kCamera);
  EXPECT_EQ(stock.total, 6);
  EXPECT_EQ(stock.units.at(dir_ / "cam0"), "c 1:5");
  EXPECT_EQ(stock.looked_for, dir_ / "cam*");
  EXPECT_EQ(inventory.resources.at("hugepages-2Mi").total, 16 << 20);
}

TEST_F(HostDevicesTest, NoneIsGivenTwice) {
  plug("cam0", "zero");
  plug("cam1", "full");
  EXPECT_THAT(units(choose(1)), ElementsAre("cam0"));
  EXPECT_THAT(units(choose(2)), ElementsAre("cam0", "cam1"));
  EXPECT_THAT(units(choose(1, {held("cam0")})), ElementsAre("cam1"));
  EXPECT_THAT(units(choose(1, {held("cam0"), held("cam1")})), ElementsAre("InsufficientDevices"));
  EXPECT_THAT(units(choose(3)), ElementsAre("WaitingForDevice"));
}

TEST_F(HostDevicesTest, ANodeThatCameBackUnderAnotherNameIsTheSame) {
  plug("cam1", "full");
  EXPECT_THAT(units(choose(1, {held("cam0", "c 1:7")})), ElementsAre("InsufficientDevices"))
      << "who was started with its number can still open it";
  // Likewise where another resource names the same device.
  EXPECT_THAT(units(choose(1, {{"example.com/other", "/dev/full", "c 1:7"}})),
              ElementsAre("InsufficientDevices"));
}

TEST_F(HostDevicesTest, AContainerGetsAgainWhatItHad) {
  plug("cam0", "zero");
  plug("cam1", "full");
  EXPECT_THAT(units(choose(1, {}, {held("cam1")})), ElementsAre("cam1"));
  EXPECT_THAT(units(choose(1, {held("cam1")}, {held("cam1")})), ElementsAre("cam0"));
}

TEST_F(HostDevicesTest, SharedOnesAreSpread) {
  plug("cam0", "zero");
  plug("cam1", "full");
  options_.classes[kCamera].shared = 2;
  EXPECT_THAT(units(choose(1, {held("cam0")})), ElementsAre("cam1"));
  EXPECT_THAT(units(choose(1, {held("cam0"), held("cam1"), held("cam1")})), ElementsAre("cam0"));
  EXPECT_THAT(units(choose(1, {held("cam0"), held("cam0"), held("cam1"), held("cam1")})),
              ElementsAre("InsufficientDevices"));
  EXPECT_THAT(units(choose(3)), ElementsAre("cam0", "cam1", "cam0"));
}

TEST_F(HostDevicesTest, OneContainerDoesNotGetADeviceTwiceForTwoResources) {
  plug("cam0", "zero");
  options_.classes["example.com/zoom"].paths = {dir_ / "cam0"};
  container_.resources.extended["example.com/zoom"] = 1;
  EXPECT_THAT(units(choose(1)), ElementsAre("InsufficientDevices"));
  plug("cam1", "full");
  EXPECT_THAT(units(choose(1)), testing::UnorderedElementsAre("cam0", "cam1"))
      << "the one that can be had for one of them only is had for that one";
}

TEST_F(HostDevicesTest, WhatNobodyConfiguredIsNamed) {
  options_.classes.clear();
  const auto grant = choose(1);
  ASSERT_FALSE(grant);
  EXPECT_EQ(grant.error().reason(), "DeviceNotConfigured");
  EXPECT_THAT(grant.error().message(), HasSubstr(kCamera));
}

class SpecWithDevices : public HostDevicesTest {
 protected:
  Json spec() {
    container_.command = {"/bin/app"};
    const ImageConfig image;
    const HostFacts host;
    auto made = make_oci_spec({pod_, container_, image, host, "/wherry/web", "", "", {}});
    EXPECT_TRUE(made) << made.error().full();
    HostDevices devices(options_);
    const auto grant = devices.choose(pod_, container_, {}, {});
    EXPECT_TRUE(grant) << grant.error().full();
    if (!made || !grant) return {};
    auto edited = with_devices(*made, *grant);
    EXPECT_TRUE(edited) << edited.error().full();
    return edited ? Json::parse(*edited) : Json();
  }
  void put_cdi(const std::string& text) { test::write_text(dir_ / "cdi/a.yaml", text); }
};

TEST_F(SpecWithDevices, NodesComeWithTheirRule) {
  plug("cam0", "zero");
  plug("cam1", "full");
  options_.classes[kCamera].permissions = "r";
  options_.classes[kCamera].container_path = "/dev/camera";
  container_.resources.extended[kCamera] = 2;
  const Json made = spec();
  const Json& devices = made["linux"]["devices"];
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0]["path"], "/dev/camera");
  EXPECT_EQ(devices[1]["path"], "/dev/camera1");
  EXPECT_EQ(devices[1]["major"], 1);
  EXPECT_EQ(devices[1]["minor"], 7);
  const Json& rules = made["linux"]["resources"]["devices"];
  ASSERT_EQ(rules.size(), 3U);
  EXPECT_EQ(rules[0], (Json{{"allow", false}, {"access", "rwm"}}));
  EXPECT_EQ(rules[2],
            (Json{{"allow", true}, {"type", "c"}, {"major", 1}, {"minor", 7}, {"access", "r"}}));
}

TEST_F(SpecWithDevices, CdiEditsOfFileAndDeviceAreApplied) {
  put_cdi(R"(
cdiVersion: "0.7.0"
kind: v.com/gpu
devices:
- name: "0"
  containerEdits:
    env: [GPU=0, PATH=/gpu]
    deviceNodes: [{ path: /dev/gpu0, hostPath: /dev/full, permissions: rw, fileMode: 0640 }]
- name: "1"
  containerEdits: { deviceNodes: [{ path: /dev/gpu1, hostPath: /dev/zero }] }
containerEdits:
  env: [ALL=yes]
  additionalGids: [44, 0]
  mounts: [{ hostPath: /usr/lib/gpu, containerPath: /lib/gpu, options: [ro, bind] }]
  hooks: [{ hookName: createContainer, path: /usr/bin/hook, args: [hook, x], timeout: 3 }]
)");
  options_.classes["v.com/gpu"].cdi = {"v.com/gpu"};
  container_.resources.extended["v.com/gpu"] = 2;
  container_.security.run_as_user = 1000;
  const Json made = spec();
  const std::vector<std::string> env = made["process"]["env"];
  EXPECT_THAT(env, testing::IsSupersetOf({"ALL=yes", "GPU=0", "PATH=/gpu"}));
  EXPECT_EQ(std::count(env.begin(), env.end(), "ALL=yes"), 1);
  EXPECT_EQ(made["process"]["user"]["additionalGids"], Json::array({44}));
  EXPECT_EQ(made["linux"]["devices"].size(), 2U);
  EXPECT_EQ(made["linux"]["devices"][0]["fileMode"], 0640);
  EXPECT_EQ(made["linux"]["devices"][0]["uid"], 1000) << "who runs there may open it";
  EXPECT_EQ(made["linux"]["resources"]["devices"][1]["access"], "rw");
  EXPECT_EQ(made["linux"]["resources"]["devices"][2]["access"], "rwm");
  EXPECT_EQ(made["hooks"]["createContainer"].size(), 1U) << "once, however many devices";
  EXPECT_EQ(made["hooks"]["createContainer"][0]["timeout"], 3);
  const auto mounts = made["mounts"];
  const auto gpu = std::find_if(mounts.begin(), mounts.end(),
                                [](const Json& m) { return m["destination"] == "/lib/gpu"; });
  ASSERT_NE(gpu, mounts.end());
  EXPECT_EQ((*gpu)["options"], Json::array({"ro", "bind"}));
}

TEST_F(SpecWithDevices, NamedByAnnotationAlone) {
  put_cdi(
      "cdiVersion: '0.6.0'\nkind: v.com/gpu\ndevices: [{ name: a, containerEdits: { env: "
      "[GPU=a] } }]\n");
  pod_.cdi_devices = {"v.com/gpu=a"};
  const std::vector<std::string> env = spec()["process"]["env"];
  EXPECT_THAT(env, testing::Contains("GPU=a"));
  pod_.cdi_devices = {"v.com/gpu=b"};
  const auto missing = HostDevices(options_).choose(pod_, container_, {}, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason(), "WaitingForDevice");
}

TEST_F(SpecWithDevices, AChangedFileIsReadAgain) {
  const auto file = [](const std::string& name) {
    return "cdiVersion: '0.6.0'\nkind: v.com/gpu\ndevices: [{ name: " + name + " }]\n";
  };
  HostDevices devices(options_);
  EXPECT_TRUE(devices.inventory().cdi.empty());
  put_cdi(file("a"));
  EXPECT_TRUE(devices.inventory().cdi.contains("v.com/gpu=a"));
  EXPECT_TRUE(devices.inventory().cdi.contains("v.com/gpu=a")) << "read once, known on";
  put_cdi(file("b2"));
  EXPECT_TRUE(devices.inventory().cdi.contains("v.com/gpu=b2"));
  std::filesystem::remove(dir_ / "cdi/a.yaml");
  EXPECT_TRUE(devices.inventory().cdi.empty());
  DeviceOptions other = options_;
  other.cdi_dirs = {dir_ / "none"};
  put_cdi(file("c"));
  devices.set(other);
  EXPECT_TRUE(devices.inventory().cdi.empty());
}

TEST_F(SpecWithDevices, ACdiDeviceOfWhichTheNodeIsAwayIsNotThereYet) {
  put_cdi(
      "cdiVersion: '0.6.0'\nkind: v.com/gpu\ndevices: [{ name: a, containerEdits: { "
      "deviceNodes: [{ path: /dev/gpu7, hostPath: '" +
      (dir_ / "gpu7") +
      "' }] } }, { name: b, containerEdits: { deviceNodes: [{ path: /dev/x, "
      "hostPath: /nope, type: c, major: 1, minor: 3 }] } }]\n");
  options_.classes["v.com/gpu"].cdi = {"v.com/gpu"};
  HostDevices devices(options_);
  const DeviceInventory before = devices.inventory();
  EXPECT_EQ(before.resources.at("v.com/gpu").total, 1) << "b needs nothing of the host";
  EXPECT_THAT(before.cdi.at("v.com/gpu=a"), HasSubstr("cdi/a.yaml gives it " + (dir_ / "gpu7")));
  plug("gpu7", "full");
  const DeviceInventory after = devices.inventory();
  EXPECT_EQ(after.resources.at("v.com/gpu").total, 2);
  EXPECT_EQ(after.cdi.at("v.com/gpu=a"), "");
}

TEST_F(SpecWithDevices, ACdiNodeThatTheHostLacksIsSaid) {
  put_cdi(
      "cdiVersion: '0.6.0'\nkind: v.com/gpu\ndevices: [{ name: a, containerEdits: { "
      "deviceNodes: [{ path: /dev/gpu7 }] } }]\n");
  pod_.cdi_devices = {"v.com/gpu=a"};
  const auto grant = HostDevices(options_).choose(pod_, container_, {}, {});
  ASSERT_TRUE(grant);
  const auto made = with_devices("{\"process\":{\"user\":{\"uid\":0}}}", *grant);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().reason(), "WaitingForDevice");
  EXPECT_THAT(made.error().full(), HasSubstr("/dev/gpu7"));
  EXPECT_THAT(made.error().full(), HasSubstr("cdi/a.yaml"));
}

TEST(HugePages, AreLimitedWhereTheKernelCan) {
  PodSpec pod;
  ContainerSpec container;
  container.command = {"/bin/app"};
  container.resources.extended = {{"hugepages-2Mi", 4 << 20}};
  const ImageConfig image;
  HostFacts host;
  const auto limits = [&] {
    const auto made = make_oci_spec({pod, container, image, host, "/wherry/web", "", "", {}});
    return Json::parse(*made)["linux"]["resources"].value("hugepageLimits", Json::array());
  };
  EXPECT_EQ(limits(), Json::array()) << "runc would fail without the controller";
  host.hugetlb = true;
  EXPECT_EQ(limits(), Json::array({{{"pageSize", "2MB"}, {"limit", 4 << 20}}}));
  host.huge_pages = {2 << 20, 1 << 30};
  container.resources.extended.clear();
  EXPECT_EQ(limits(),
            Json::array({{{"pageSize", "2MB"}, {"limit", 0}}, {{"pageSize", "1GB"}, {"limit", 0}}}))
      << "who asks for none has none";
}

}  // namespace
}  // namespace wherry::runtime
