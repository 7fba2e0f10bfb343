// Containers that share their processes: who is the first one, and what becomes of the others when
// one of them, or that one, ends.

#include <csignal>
#include <filesystem>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "tests/contract/real_world.h"
#include "tests/support/wait.h"

namespace wherry::runtime {
namespace {

using testing::HasSubstr;

std::string proc(uint32_t pid, const std::string& file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}
// The namespace's number; 0 where there is no such process.
ino_t pid_namespace(uint32_t pid) {
  struct stat info {};
  return stat(proc(pid, "ns/pid").c_str(), &info) == 0 ? info.st_ino : 0;
}
// Those whose name is this, as the test sees them.
std::vector<uint32_t> processes_named(const std::string& name) {
  std::vector<uint32_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string file = entry.path().filename();
    if (file.find_first_not_of("0123456789") != std::string::npos) continue;
    // A zombie has no command line, and is nobody's process any more.
    if (test::read_text(entry.path() / "status").find("Name:\t" + name + "\n") ==
            std::string::npos ||
        test::read_text(entry.path() / "status").find("State:\tZ") != std::string::npos) {
      continue;
    }
    pids.push_back(static_cast<uint32_t>(std::stoul(file)));
  }
  return pids;
}

class SharedPids : public testing::Test {
 protected:
  SharedPids()
      : pod_(host_network_pod("web",
                              {script_container(world_, "a"), script_container(world_, "b")})) {
    pod_.share_processes = true;
  }
  ~SharedPids() override { failpoints_arm(""); }

  Status prepare() {
    const auto prepared = world_.runtime().prepare_pod(pod_, {});
    return prepared ? Status() : Status(fail(prepared.error()));
  }
  ContainerStatus start(size_t index, uint32_t attempt = 0) {
    const Status prepared = prepare();
    EXPECT_TRUE(prepared) << prepared.error().full();
    auto started = world_.runtime().start_container(pod_, pod_.containers.at(index), attempt, {});
    EXPECT_TRUE(started) << started.error().full();
    return started.value_or(ContainerStatus{});
  }
  ContainerState state_of(const std::string& id) {
    const auto pods = world_.runtime().observe();
    for (const PodStatus& pod : pods.value_or(std::vector<PodStatus>{})) {
      for (const ContainerStatus& container : pod.containers) {
        if (container.id == id) return container.state;
      }
    }
    return ContainerState::Unknown;
  }
  bool ends(const ContainerStatus& container) {
    return test::wait_until([&] { return state_of(container.id) == ContainerState::Exited; });
  }
  uint32_t holder() {
    const auto pids = processes_named("pause");
    EXPECT_EQ(pids.size(), 1U);
    return pids.size() == 1 ? pids.front() : 0;
  }
  // What the kernel says of the first process, as soon as that has `line`: it gets its filter only
  // after it was told to go on.
  std::string status_with(const std::string& line) {
    std::string status;
    EXPECT_TRUE(test::wait_until([&] {
      status = test::read_text(proc(holder(), "status"));
      return status.find(line) != std::string::npos;
    })) << status;
    return status;
  }
  void remove_everything() {
    const Status removed = world_.runtime().remove_pod("web");
    EXPECT_TRUE(removed) << removed.error().full();
    EXPECT_EQ(world_.pod_leftovers(), "");
    EXPECT_TRUE(processes_named("pause").empty());
    EXPECT_FALSE(std::filesystem::exists(world_.run_dir() + "/pids/web"));
  }

  RealWorld world_;
  PodSpec pod_;
};

TEST_F(SharedPids, AreSeenByAllAndOutliveEveryContainer) {
  const ContainerStatus a = start(0);
  const ContainerStatus b = start(1);
  EXPECT_EQ(pid_namespace(a.pid), pid_namespace(b.pid));
  EXPECT_NE(pid_namespace(a.pid), pid_namespace(static_cast<uint32_t>(getpid())));
  EXPECT_THAT(test::read_text(proc(b.pid, "root/proc/1/status")), HasSubstr("Name:\tpause\n"));
  world_.end_with_3(a);
  ASSERT_TRUE(ends(a));
  EXPECT_EQ(state_of(b.id), ContainerState::Running);
  const ContainerStatus again = start(0, 1);
  EXPECT_EQ(pid_namespace(again.pid), pid_namespace(b.pid));
  world_.restart_agent();
  ASSERT_TRUE(prepare());
  EXPECT_EQ(pid_namespace(holder()), pid_namespace(b.pid)) << "the next agent takes it over";
  remove_everything();
}

TEST_F(SharedPids, HaveAFirstProcessThatIsGoodForNothingElse) {
  start(0);
  const std::string status = status_with("Seccomp:\t2\n");
  EXPECT_THAT(status, HasSubstr("Uid:\t65534\t65534\t65534\t65534\n"));
  EXPECT_THAT(status, HasSubstr("Groups:\t \n"));
  EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000\n"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\n"));
  EXPECT_TRUE(std::filesystem::is_empty(proc(holder(), "root"))) << "none of the host's files";
  struct stat own {
  }, host{};
  ASSERT_EQ(stat(proc(holder(), "ns/net").c_str(), &own), 0);
  ASSERT_EQ(stat("/proc/self/ns/net", &host), 0);
  EXPECT_NE(own.st_ino, host.st_ino) << "nor its network";
  remove_everything();
}

// As under systemd, whose filters every child inherits.
TEST_F(SharedPids, HaveAFirstProcessThatIsGoodForNothingElseUnderFiltersToo) {
  std::thread filtered([&] {
    sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{1, allow};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
    const Status prepared = prepare();
    EXPECT_TRUE(prepared) << prepared.error().full();
  });
  filtered.join();
  status_with("Seccomp_filters:\t2\n");
  remove_everything();
}

TEST_F(SharedPids, EndWithTheFirstProcessAndBeginAnew) {
  const ContainerStatus a = start(0);
  const ContainerStatus b = start(1);
  const uint32_t before = holder();
  ASSERT_GT(before, 0U) << "0 would be all of the test's own processes";
  ::kill(static_cast<pid_t>(before), SIGKILL);
  ASSERT_TRUE(ends(a));
  ASSERT_TRUE(ends(b));
  const ContainerStatus again = start(0, 1);
  const ContainerStatus other = start(1, 1);
  EXPECT_EQ(pid_namespace(again.pid), pid_namespace(other.pid));
  EXPECT_EQ(pid_namespace(again.pid), pid_namespace(holder()));
  EXPECT_NE(holder(), before);
  remove_everything();
}

TEST_F(SharedPids, LeaveNothingWhereTheAgentIsKilledAtAnyStep) {
  for (const std::string step : {"pids.prepare.started", "pids.prepare.noted",
                                 "pids.prepare.mounted", "pids.prepare.released"}) {
    SCOPED_TRACE(step);
    failpoints_arm(step + "=error");
    EXPECT_FALSE(prepare());
    failpoints_arm("");
    world_.restart_agent();
    EXPECT_TRUE(test::wait_until([&] {
      return processes_named("pause").size() == (step == "pids.prepare.released" ? 1U : 0U);
    }));
    start(0);
    holder();
    remove_everything();
  }
  ASSERT_TRUE(prepare());
  failpoints_arm("pids.remove.killed=error");
  EXPECT_FALSE(world_.runtime().remove_pod("web"));
  failpoints_arm("");
  EXPECT_TRUE(world_.runtime().collect_leftovers({}));
  EXPECT_FALSE(std::filesystem::exists(world_.run_dir() + "/pids/web"));
  // Killed while it wrote the note.
  test::write_text(world_.run_dir() + "/pids/web.pid.tmp-1", "1");
  EXPECT_TRUE(world_.runtime().collect_leftovers({}));
  EXPECT_TRUE(std::filesystem::is_empty(world_.run_dir() + "/pids"));
}

TEST_F(SharedPids, AreInTheNetworkOfTheirPod) {
  pod_.host_network = false;
  pod_.hostname = "web";
  const ContainerStatus a = start(0);
  struct stat own {
  }, pod{};
  ASSERT_EQ(stat(proc(holder(), "ns/net").c_str(), &own), 0);
  ASSERT_EQ(stat(proc(a.pid, "ns/net").c_str(), &pod), 0);
  EXPECT_EQ(own.st_ino, pod.st_ino);
  world_.reboot();
  const ContainerStatus after = start(0);
  EXPECT_EQ(pid_namespace(after.pid), pid_namespace(holder()));
  remove_everything();
}

}  // namespace
}  // namespace wherry::runtime
