// Room, priority and sizes on a real containerd.

#include <cstdlib>
#include <fstream>
#include <signal.h>
#include <sstream>
#include <sys/sysinfo.h>

#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class ResourcesTest : public SystemTest {
 protected:
  static json with(json pod, const json& resources, int priority = 0) {
    pod["spec"]["containers"][0]["resources"] = resources;
    pod["spec"]["priority"] = priority;
    return pod;
  }
  // A sleeper that asks for so much of the device's memory, and uses next to none of it.
  json asking(const std::string& name, int percent, int priority = 0) {
    struct sysinfo info {};
    sysinfo(&info);
    const uint64_t bytes = info.totalram * info.mem_unit / 100 * static_cast<uint64_t>(percent);
    return with(sleeper(name), {{"requests", {{"memory", std::to_string(bytes)}}}}, priority);
  }
  json sized(const std::string& name, const std::string& memory, const std::string& cpu) {
    return with(sleeper(name), {{"limits", {{"memory", memory}, {"cpu", cpu}}}});
  }
  json wait_reason(const std::string& name, const std::string& reason) {
    json found;
    wait_upstream([&](const json& reported) {
      found = workload_in(reported, name);
      return found.is_object() && found["reason"] == reason;
    });
    return found;
  }
  // What the kernel says of a process, in cgroups of either version.
  static std::string limit_of(int pid, const std::string& controller, const std::string& v1,
                              const std::string& v2) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cgroup");
    for (std::string line; std::getline(file, line);) {
      const size_t first = line.find(':'), second = line.find(':', first + 1);
      const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
      const std::string path = line.substr(second + 1);
      if (names.find("," + controller + ",") != std::string::npos) {
        return read_text("/sys/fs/cgroup/" + controller + path + "/" + v1);
      }
      if (names == ",," && !read_text("/sys/fs/cgroup" + path + "/" + v2).empty()) {
        return read_text("/sys/fs/cgroup" + path + "/" + v2);
      }
    }
    return {};
  }
  static std::string memory_limit(int pid) {
    return limit_of(pid, "memory", "memory.limit_in_bytes", "memory.max");
  }
};

TEST_F(ResourcesTest, WhatDoesNotFitWaitsAndPriorityMakesRoom) {
  publish(1, {asking("low", 60)});
  running("low");
  const int before = pid_of("low");
  publish(2, {asking("low", 60), asking("late", 60)});
  const json late = wait_reason("late", "InsufficientMemory");
  EXPECT_EQ(late["phase"], "Pending");
  EXPECT_NE(late["message"].get<std::string>().find("held by low ("), std::string::npos) << late;
  EXPECT_EQ(pid_of("low"), before) << "nobody goes for an equal";

  publish(3, {asking("low", 60), asking("late", 60), asking("high", 60, 10)});
  running("high");
  const json low = wait_reason("low", "Preempted");
  EXPECT_EQ(low["phase"], "Pending");
  EXPECT_EQ(tasks().size(), 1U);

  // Also in another life of the agent.
  const int kept = pid_of("high");
  agent_->kill();
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  EXPECT_EQ(pid_of("high"), kept);
  EXPECT_EQ(tasks().size(), 1U);

  publish(4, {asking("low", 60)});
  running("low");
  EXPECT_EQ(tasks().size(), 1U);
}

TEST_F(ResourcesTest, CpuAndMemoryChangeWithoutARestart) {
  publish(1, {sized("web", "64Mi", "500m")});
  running("web");
  const int before = pid_of("web");
  EXPECT_EQ(std::atoll(memory_limit(before).c_str()), 64 << 20);

  publish(2, {sized("web", "96Mi", "250m")});
  EXPECT_TRUE(wait_until([&] { return std::atoll(memory_limit(before).c_str()) == 96 << 20; }));
  EXPECT_TRUE(wait_until([&] {
    const std::string quota = limit_of(before, "cpu", "cpu.cfs_quota_us", "cpu.max");
    return quota.rfind("25000", 0) == 0;
  }));
  wait_upstream([&](const json& reported) {
    const json document = document_in(reported);
    return document["revision"] == 2 && document["state"] == "Applied";
  });
  EXPECT_EQ(pid_of("web"), before) << "not restarted";

  // It lasts: through a restart of the agent, and of the container.
  agent_->kill();
  agent_->start();
  ASSERT_TRUE(agent_->wait_ready());
  EXPECT_EQ(pid_of("web"), before);
  EXPECT_EQ(std::atoll(memory_limit(before).c_str()), 96 << 20);
  ASSERT_EQ(kill(before, SIGKILL), 0);
  ASSERT_TRUE(wait_until([&] {
    const int now = pid_of("web");
    return now != 0 && now != before;
  }));
  EXPECT_EQ(std::atoll(memory_limit(pid_of("web")).c_str()), 96 << 20);
}

TEST_F(ResourcesTest, ALimitBelowWhatIsInUseIsReportedAndTriedAgain) {
  const auto eater = [this](const std::string& memory) {
    json pod = sized("eater", memory, "500m");
    pod["spec"]["containers"][0]["command"] = {
        "/bin/sh", "-c",
        "while [ ! -e /tmp/stop ]; do (head -c 40000000 /dev/zero; while [ ! -e /tmp/stop ]; do "
        "sleep 0.1; done) | tail -n 1 >/dev/null; done; while true; do sleep 1; done"};
    pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "tmp"}, {"mountPath", "/tmp"}}};
    pod["spec"]["volumes"] = {{{"name", "tmp"}, {"emptyDir", json::object()}}};
    return pod;
  };
  publish(1, {eater("256Mi")});
  running("eater");
  const int pid = pid_of("eater");
  const auto used = [pid] {
    return std::atoll(limit_of(pid, "memory", "memory.usage_in_bytes", "memory.current").c_str());
  };
  ASSERT_TRUE(wait_until([&] { return used() > 40'000'000; }));
  publish(2, {eater("16Mi")});
  const json trouble = wait_reason("eater", "MemoryInUse");
  EXPECT_EQ(trouble["phase"], "Running");
  EXPECT_NE(trouble["message"].get<std::string>().find("new limit of 16.0 MiB"), std::string::npos)
      << trouble;
  EXPECT_EQ(std::atoll(memory_limit(pid).c_str()), 256 << 20) << "the former one is kept";

  std::ofstream("/proc/" + std::to_string(pid) + "/root/tmp/stop") << "x";
  EXPECT_TRUE(wait_until([&] { return std::atoll(memory_limit(pid).c_str()) == 16 << 20; },
                         std::chrono::seconds(60)));
  EXPECT_EQ(pid_of("eater"), pid);
}

TEST_F(ResourcesTest, WhatFillsItsEmptyDirIsStoppedAndComesBackEmpty) {
  json pod = sleeper("filler");
  pod["spec"]["volumes"] = {{{"name", "data"}, {"emptyDir", {{"sizeLimit", "2Mi"}}}}};
  pod["spec"]["containers"][0]["volumeMounts"] = {{{"name", "data"}, {"mountPath", "/data"}}};
  publish(1, {pod, sleeper("other")});
  running("filler");
  running("other");
  const int before = pid_of("filler"), other = pid_of("other");
  std::ofstream("/proc/" + std::to_string(before) + "/root/data/file")
      << std::string(4 << 20, 'x') << std::flush;
  json seen;
  wait_upstream(
      [&](const json& reported) {
        seen = workload_in(reported, "filler");
        return seen["phase"] == "Failed" && seen["reason"] == "Evicted";
      },
      std::chrono::seconds(90));
  EXPECT_NE(seen["message"].get<std::string>().find("its emptyDir data holds 4.0 MiB"),
            std::string::npos)
      << seen;
  wait_upstream([&](const json& reported) { return in_phase(reported, "filler", "Running"); },
                std::chrono::seconds(90));
  EXPECT_NE(pid_of("filler"), before);
  EXPECT_EQ(read_text("/proc/" + std::to_string(pid_of("filler")) + "/root/data/file"), "");
  EXPECT_EQ(pid_of("other"), other) << "its neighbour is left alone";
}

// In place of the kernel's, for as long as it lives.
class OtherMeminfo {
 public:
  OtherMeminfo(const std::string& file, int64_t available_kib) {
    std::istringstream real(read_text("/proc/meminfo"));
    std::string text;
    for (std::string line; std::getline(real, line);) {
      if (line.starts_with("MemAvailable:")) {
        line = "MemAvailable: " + std::to_string(available_kib) + " kB";
      }
      text += line + "\n";
    }
    write_text(file, text);
    mounted_ = run_command({"mount", "--bind", file, "/proc/meminfo"}).exit_code == 0;
  }
  ~OtherMeminfo() {
    if (mounted_) run_command({"umount", "/proc/meminfo"});
  }
  OtherMeminfo(const OtherMeminfo&) = delete;
  OtherMeminfo& operator=(const OtherMeminfo&) = delete;
  bool mounted() const { return mounted_; }

 private:
  bool mounted_ = false;
};

TEST_F(ResourcesTest, WhenTheDeviceIsShortOfMemoryTheLowestGoesAndComesBack) {
  if (std::getenv("WHERRY_TEST_NO_ISOLATION") != nullptr) GTEST_SKIP() << "the host's /proc";
  publish(1, {with(sleeper("low"), json::object(), -1), sleeper("middle"),
              with(sleeper("system"), json::object(), 2'000'000'000)});
  for (const char* name : {"low", "middle", "system"}) running(name);
  const auto before = tasks();
  {
    const OtherMeminfo little(files_ / "meminfo", 10'000);
    ASSERT_TRUE(little.mounted());
    json low;
    wait_upstream(
        [&](const json& reported) {
          low = workload_in(reported, "low");
          return low["phase"] == "Failed" && low["reason"] == "Evicted";
        },
        std::chrono::seconds(60));
    EXPECT_NE(low["message"].get<std::string>().find("9.8 MiB are available"), std::string::npos)
        << low;
    // The next one is of the next round; the system's own never is.
    wait_upstream([&](const json& reported) { return in_phase(reported, "middle", "Failed"); },
                  std::chrono::seconds(60));
    EXPECT_EQ(tasks().size(), 1U);
  }
  wait_upstream(
      [&](const json& reported) {
        return in_phase(reported, "low", "Running") && in_phase(reported, "middle", "Running");
      },
      std::chrono::seconds(120));
  EXPECT_EQ(tasks().size(), before.size());
}

}  // namespace
}  // namespace wherry::test
