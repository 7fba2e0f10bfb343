// Devices in real containers: who can open them, and that a crash gives none away twice.

#include <filesystem>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "tests/contract/real_world.h"

namespace wherry::runtime {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class RealDevices : public testing::Test {
 protected:
  ~RealDevices() override { failpoints_arm(""); }

  // Like /dev/kmsg: every kernel has it, anybody may open it for writing, and no container has it
  // by default.
  std::string make_node(const std::string& name) {
    const std::string path = world_.shelf().path(name);
    EXPECT_EQ(mknod(path.c_str(), S_IFCHR | 0666, makedev(1, 11)), 0);
    EXPECT_EQ(chmod(path.c_str(), 0666), 0);
    return path;
  }
  PodSpec pod(const std::string& name, int64_t cameras) {
    PodSpec made = host_network_pod(name, {script_container(world_, "app")});
    if (cameras > 0) made.containers[0].resources.extended["example.com/camera"] = cameras;
    return made;
  }
  Result<ContainerStatus> try_run(const PodSpec& pod) {
    if (const auto ip = world_.runtime().prepare_pod(pod, {}); !ip) return fail(ip.error());
    return world_.runtime().start_container(pod, pod.containers.at(0), 0, {});
  }
  ContainerStatus run(const PodSpec& pod) {
    auto started = try_run(pod);
    EXPECT_TRUE(started) << started.error().full();
    return started.value_or(ContainerStatus{});
  }
  ExecResult shell(const ContainerStatus& container, const std::string& command) {
    auto result = world_.execs().exec(
        {container.id, {"/bin/sh", "-c", command}, std::chrono::seconds(30), 4096}, {});
    EXPECT_TRUE(result) << result.error().full();
    return result.value_or(ExecResult{-1, "", ""});
  }

  RealWorld world_;
};

TEST_F(RealDevices, OnlyTheContainerThatAsksCanOpenIt) {
  const std::string node = make_node("cam0");
  const ContainerStatus with = run(pod("with", 1)), without = run(pod("without", 0));
  const ExecResult opened = shell(with, ": >> " + node);
  EXPECT_EQ(opened.exit_code, 0) << opened.err;
  EXPECT_NE(shell(without, "test -e " + node).exit_code, 0);
  const ExecResult own = shell(without, "mknod /cam c 1 11 && : >> /cam");
  EXPECT_NE(own.exit_code, 0);
  EXPECT_THAT(own.err, HasSubstr("ot permitted")) << "the cgroup does not let it";
}

TEST_F(RealDevices, CdiEditsReachTheContainer) {
  make_node("gpu0");
  const std::string dir = world_.shelf().path("");
  test::write_text(dir + "shown", "from the host");
  // Static: a hook runs where the daemon does, which may have another /usr.
  std::filesystem::copy_file("/bin/busybox", dir + "touch");
  test::write_text(dir + "cdi/gpu.yaml",
                   "cdiVersion: '0.7.0'\nkind: vendor.com/gpu\ndevices:\n- name: '0'\n"
                   "  containerEdits:\n    env: [GPU=zero]\n"
                   "    deviceNodes: [{ path: /dev/gpu, hostPath: " +
                       dir +
                       "gpu0 }]\n"
                       "containerEdits:\n"
                       "  mounts: [{ hostPath: " +
                       dir +
                       "shown, containerPath: /gpu/shown, options: "
                       "[ro, bind] }]\n"
                       "  additionalGids: [4711]\n"
                       "  hooks: [{ hookName: createRuntime, path: " +
                       dir + "touch, args: [touch, " + dir + "hooked] }]\n");
  PodSpec with = pod("with", 0);
  with.cdi_devices = {"vendor.com/gpu=0"};
  const ContainerStatus container = run(with);
  EXPECT_TRUE(std::filesystem::exists(dir + "hooked"));
  const ExecResult seen =
      shell(container, "echo $GPU; cat /gpu/shown; echo; id -G; : >> /dev/gpu && echo opened");
  EXPECT_THAT(seen.out, testing::AllOf(HasSubstr("zero\nfrom the host\n"), HasSubstr("4711"),
                                       HasSubstr("opened")))
      << seen.err;
}

TEST_F(RealDevices, OfThreeThatStartAtOnceOneGetsIt) {
  make_node("cam0");
  std::vector<Result<ContainerStatus>> results(3, fail(Code::Internal, "not tried"));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&, i] { results[i] = try_run(pod("p" + std::to_string(i), 1)); });
  }
  for (std::thread& thread : threads) thread.join();
  int good = 0;
  for (const auto& result : results) {
    if (result) ++good;
    if (!result) {
      EXPECT_EQ(result.error().reason(), "InsufficientDevices");
    }
  }
  EXPECT_EQ(good, 1);
}

TEST_F(RealDevices, WhatACrashLeftHalfMadeKeepsItsDevice) {
  make_node("cam0");
  for (const std::string step :
       {"pod.start.container-created", "pod.start.task-created", "pod.start.task-started"}) {
    SCOPED_TRACE(step);
    failpoints_arm(step + "=error,pod.remove.begin=error");
    EXPECT_FALSE(try_run(pod("first", 1)));
    failpoints_arm("");
    world_.restart_agent();
    const auto other = try_run(pod("other", 1));
    ASSERT_FALSE(other) << "it may be open already";
    EXPECT_EQ(other.error().reason(), "InsufficientDevices");
    EXPECT_THAT(run(pod("first", 1)).devices, SizeIs(1)) << "its own start goes on";
    ASSERT_TRUE(world_.runtime().remove_pod("first"));
    EXPECT_THAT(run(pod("other", 1)).devices, SizeIs(1));
    ASSERT_TRUE(world_.runtime().remove_pod("other"));
  }
}

}  // namespace
}  // namespace wherry::runtime
