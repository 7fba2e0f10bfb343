// Containers in the device's own namespaces: they are started, asked, stopped and found dead as
// others are, and none of their processes stays behind among those of the device.

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/contract/real_world.h"
#include "tests/support/wait.h"

namespace wherry::runtime {
namespace {

ino_t namespace_of(const std::string& pid, const char* kind) {
  struct stat info {};
  return stat(("/proc/" + pid + "/ns/" + kind).c_str(), &info) == 0 ? info.st_ino : 0;
}

class HostNamespaces : public testing::Test {
 protected:
  // Leaves a child behind that nothing but a kill ends, and writes down its number.
  HostNamespaces() : pod_(host_network_pod("web", {script_container(world_, "app")})) {
    pod_.host_pids = true;
    pod_.containers[0].command = {
        "/bin/sh", "-c",
        "trap 'exit 3' USR1; trap 'exit 7' TERM; (trap '' TERM USR1 HUP; while :; do sleep 1000; "
        "done) & while :; do sleep 0.1; done"};
  }

  ContainerStatus start(uint32_t attempt = 0) {
    const auto prepared = world_.runtime().prepare_pod(pod_, {});
    EXPECT_TRUE(prepared) << prepared.error().full();
    auto started = world_.runtime().start_container(pod_, pod_.containers.at(0), attempt, {});
    EXPECT_TRUE(started) << started.error().full();
    return started.value_or(ContainerStatus{});
  }
  ContainerStatus seen() {
    const auto pods = world_.runtime().observe();
    return pods && pods->size() == 1 && pods->front().containers.size() == 1
               ? pods->front().containers.front()
               : ContainerStatus{};
  }
  bool ends() {
    return test::wait_until([&] { return seen().state == ContainerState::Exited; });
  }
  // Of the container's cgroup, as the test sees them: more than its first process.
  std::vector<pid_t> processes_of(const ContainerStatus& container) {
    const std::string own = test::read_text("/proc/" + std::to_string(container.pid) + "/cgroup");
    std::vector<pid_t> all;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      if (test::read_text(entry.path() / "cgroup") == own) all.push_back(std::stoi(name));
    }
    return all;
  }
  std::vector<pid_t> family(const ContainerStatus& container) {
    std::vector<pid_t> all;
    EXPECT_TRUE(test::wait_until([&] { return (all = processes_of(container)).size() >= 3; }));
    return all;
  }
  static bool gone(const std::vector<pid_t>& pids) {
    return test::wait_until([&] {
      for (const pid_t pid : pids) {
        const std::string status = test::read_text("/proc/" + std::to_string(pid) + "/status");
        if (!status.empty() && status.find("State:\tZ") == std::string::npos) return false;
      }
      return true;
    });
  }
  void remove_everything() {
    const Status removed = world_.runtime().remove_pod("web");
    EXPECT_TRUE(removed) << removed.error().full();
    EXPECT_EQ(world_.pod_leftovers(), "");
  }

  RealWorld world_;
  PodSpec pod_;
};

TEST_F(HostNamespaces, HoldTheContainersProcessesAndNoneStays) {
  const ContainerStatus started = start();
  EXPECT_EQ(namespace_of(std::to_string(started.pid), "pid"), namespace_of("self", "pid"));
  EXPECT_NE(namespace_of(std::to_string(started.pid), "ipc"), namespace_of("self", "ipc"));
  const std::vector<pid_t> pids = family(started);
  const auto asked =
      world_.execs().exec({started.id,
                           {"/bin/sh", "-c", "ls -d /proc/" + std::to_string(getpid())},
                           std::chrono::seconds(20),
                           1000},
                          {});
  ASSERT_TRUE(asked) << asked.error().full();
  EXPECT_EQ(asked->exit_code, 0) << "it sees the device's processes, such as this test";
  // Told to stop: the first process ends, and nobody is left of the others.
  ASSERT_TRUE(world_.runtime().signal_container(started.id, SIGTERM));
  ASSERT_TRUE(ends());
  EXPECT_EQ(seen().exit_code, 7);
  EXPECT_TRUE(gone(pids));
  // Killed by somebody.
  const ContainerStatus again = start(1);
  const std::vector<pid_t> others = family(again);
  ASSERT_GT(again.pid, 1U);
  ::kill(static_cast<pid_t>(again.pid), SIGKILL);
  ASSERT_TRUE(ends());
  EXPECT_EQ(seen().exit_code, 137);
  EXPECT_FALSE(seen().oom_killed);
  EXPECT_TRUE(gone(others));
  // Removed while it runs, by an agent that did not start it.
  const std::vector<pid_t> last = family(start(2));
  world_.restart_agent();
  remove_everything();
  EXPECT_TRUE(gone(last));
}

TEST_F(HostNamespaces, AnEndForWantOfMemoryIsSeen) {
  pod_.containers[0].resources.memory_limit = 16 << 20;
  pod_.containers[0].command = {"tail", "/dev/zero"};
  start();
  ASSERT_TRUE(ends());
  EXPECT_TRUE(seen().oom_killed);
  remove_everything();
}

TEST_F(HostNamespaces, HoldItsSharedMemory) {
  pod_.host_pids = false;
  pod_.host_ipc = true;
  const std::string mark = "/dev/shm/wherry-test-" + std::to_string(getpid());
  pod_.containers[0].command = {"/bin/sh", "-c", "echo x > " + mark + "; exec sleep 100000"};
  const ContainerStatus started = start();
  const std::string pid = std::to_string(started.pid);
  EXPECT_EQ(namespace_of(pid, "ipc"), namespace_of("self", "ipc"));
  EXPECT_NE(namespace_of(pid, "pid"), namespace_of("self", "pid"));
  EXPECT_TRUE(test::wait_until([&] { return test::read_text(mark) == "x\n"; }));
  std::remove(mark.c_str());
  remove_everything();
}

}  // namespace
}  // namespace wherry::runtime
