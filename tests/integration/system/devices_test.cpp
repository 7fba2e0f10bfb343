// Devices on a real containerd: waited for, never given twice, kept through a SIGKILL of the agent.

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class DevicesTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    std::filesystem::create_directories(files_ / "dev");
    options.sets.push_back("devices={example.com/camera: {paths: [" + (files_ / "dev/cam*") +
                           "]}}");
    options.sets.push_back("containerd.cdi_spec_dirs=[" + (files_ / "cdi") + "]");
  }
  void plug(const std::string& name, const std::string& like) {
    std::filesystem::create_symlink("/dev/" + like, files_ / ("dev/" + name));
  }
  void unplug(const std::string& name) { std::filesystem::remove(files_ / ("dev/" + name)); }
  json asking(const std::string& name, const std::string& resource = "example.com/camera") {
    json pod = sleeper(name);
    pod["spec"]["containers"][0]["resources"] = {{"limits", {{resource, 1}}}};
    return pod;
  }
  json wait_reason(const std::string& name, const std::string& reason) {
    json found;
    wait_upstream([&](const json& reported) {
      found = workload_in(reported, name);
      return found.is_object() && found["reason"] == reason;
    });
    return found;
  }
  // The cameras that a container sees, by the root of its process.
  std::set<std::string> seen(const std::string& name) {
    const std::filesystem::path root = "/proc/" + std::to_string(pid_of(name)) + "/root";
    std::set<std::string> cameras;
    std::error_code error;
    for (const auto& entry :
         std::filesystem::directory_iterator(root / (files_ / "dev").substr(1), error)) {
      cameras.insert(entry.path().filename());
    }
    return cameras;
  }
};

TEST_F(DevicesTest, APodWaitsForItsDeviceAndStartsByItself) {
  publish(1, {asking("web")});
  const json waits = wait_reason("web", "WaitingForDevice");
  EXPECT_EQ(waits["phase"], "Pending");
  EXPECT_NE(waits["message"].get<std::string>().find(files_ / "dev/cam*"), std::string::npos)
      << waits;
  EXPECT_TRUE(tasks().empty());
  plug("cam0", "full");
  running("web");
  EXPECT_EQ(seen("web"), std::set<std::string>{"cam0"});

  // Pulled out, it is left alone; started again, it waits.
  const int before = pid_of("web");
  unplug("cam0");
  const json lost = wait_reason("web", "DeviceLost");
  EXPECT_EQ(lost["phase"], "Running");
  EXPECT_TRUE(lost["ready"]);
  EXPECT_EQ(pid_of("web"), before);
  ::kill(before, SIGKILL);
  wait_reason("web", "WaitingForDevice");
  plug("cam1", "zero");
  running("web");
  EXPECT_EQ(seen("web"), std::set<std::string>{"cam1"});
}

TEST_F(DevicesTest, TwoPodsNeverShareOneAlsoAfterASigkillOfTheAgent) {
  plug("cam0", "full");
  plug("cam1", "zero");
  publish(1, {asking("a"), asking("b"), asking("c")});
  running("a");
  running("b");
  const json late = wait_reason("c", "InsufficientDevices");
  EXPECT_NE(late["message"].get<std::string>().find("0 of the 2 for workloads are free"),
            std::string::npos)
      << late;
  const auto first = seen("a"), second = seen("b");
  EXPECT_EQ(first.size(), 1U);
  EXPECT_EQ(second.size(), 1U);
  EXPECT_NE(first, second);

  const int kept = pid_of("a");
  agent_->kill();
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  EXPECT_EQ(pid_of("a"), kept);
  publish(2, {asking("b"), asking("c")});
  running("c");
  EXPECT_EQ(seen("c"), first) << "the one that is free again";
  EXPECT_EQ(seen("b"), second);
}

TEST_F(DevicesTest, ConfigurationThatComesBySighupIsEnough) {
  publish(1, {asking("web", "example.com/radio")});
  const json waits = wait_reason("web", "DeviceNotConfigured");
  EXPECT_EQ(waits["phase"], "Pending");
  std::filesystem::create_symlink("/dev/zero", files_ / "dev/radio0");
  std::ofstream(agent_->config_file(), std::ios::app)
      << "\ndevices: {example.com/radio: {paths: [" << files_ / "dev/radio0"
      << "], container_path: /dev/radio}}\n";
  ::kill(agent_->process().pid(), SIGHUP);
  running("web");
  EXPECT_TRUE(
      std::filesystem::exists("/proc/" + std::to_string(pid_of("web")) + "/root/dev/radio"));
}

TEST_F(DevicesTest, ACdiDeviceByAnnotation) {
  json pod = sleeper("web");
  pod["metadata"]["annotations"]["cdi.k8s.io/gpu"] = "vendor.com/gpu=0";
  publish(1, {pod});
  wait_reason("web", "WaitingForDevice");
  std::filesystem::create_directories(files_ / "cdi");
  write_text(files_ / "cdi/gpu.json",
             R"({"cdiVersion": "0.6.0", "kind": "vendor.com/gpu", "devices": [{"name": "0",
             "containerEdits": {"deviceNodes": [{"path": "/dev/gpu", "hostPath": "/dev/full"}]}}]})");
  running("web");
  EXPECT_TRUE(std::filesystem::exists("/proc/" + std::to_string(pid_of("web")) + "/root/dev/gpu"));
}

// The kernel's, of 2 MiB; given back afterwards.
class HugePagesTest : public DevicesTest {
 protected:
  static constexpr const char* kPages = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

  ~HugePagesTest() override {
    if (before_ >= 0) keep(before_);
  }
  static int kept() {
    int pages = -1;
    std::ifstream(kPages) >> pages;
    return pages;
  }
  static bool keep(int pages) {
    std::ofstream(kPages) << pages;
    return kept() == pages;
  }
  json using_pages(const std::string& name, const std::string& amount) {
    json pod = sleeper(name);
    json& container = pod["spec"]["containers"][0];
    container["resources"] = {{"limits", {{"hugepages-2Mi", amount}, {"memory", "32Mi"}}}};
    container["volumeMounts"] = json::array({{{"name", "pages"}, {"mountPath", "/pages"}}});
    pod["spec"]["volumes"] =
        json::array({{{"name", "pages"}, {"emptyDir", {{"medium", "HugePages"}}}}});
    return pod;
  }
  std::string mounts_of(const std::string& name) {
    std::ifstream file("/proc/" + std::to_string(pid_of(name)) + "/mounts");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const int before_ = kept();
};

TEST_F(HugePagesTest, AreCountedAndMountedAndWaitedFor) {
  const int pages = before_ + 4;
  if (before_ < 0 || !keep(pages)) GTEST_SKIP() << "the kernel keeps no huge pages ready here";
  agent_->restart();
  ASSERT_TRUE(agent_->wait_ready());
  publish(1, {using_pages("big", std::to_string(2 * pages) + "Mi")});
  running("big");
  EXPECT_NE(mounts_of("big").find(" /pages hugetlbfs "), std::string::npos) << mounts_of("big");
  EXPECT_NE(mounts_of("big").find("pagesize=2M"), std::string::npos) << mounts_of("big");

  publish(2, {using_pages("big", std::to_string(2 * pages) + "Mi"), using_pages("late", "2Mi")});
  const json late = wait_reason("late", "InsufficientHugePages");
  EXPECT_EQ(late["phase"], "Pending");
  EXPECT_NE(late["message"].get<std::string>().find("hugepages-2Mi"), std::string::npos) << late;
  publish(3, {using_pages("late", "2Mi")});
  running("late");

  publish(4, {using_pages("late", "2Mi"), using_pages("huge", "4Gi")});
  const json huge = wait_reason("huge", "InsufficientHugePages");
  EXPECT_NE(huge["message"].get<std::string>().find("the kernel keeps"), std::string::npos) << huge;
}

}  // namespace
}  // namespace wherry::test
