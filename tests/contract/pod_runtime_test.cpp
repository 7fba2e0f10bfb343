// The Pod runtime on containerd: crashes at every step, things that go wrong, nothing left behind.

#include <atomic>
#include <csignal>
#include <filesystem>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "base/text.h"
#include "runtime/pod/gauges.h"
#include "tests/contract/real_world.h"
#include "tests/support/wait.h"

namespace wherry::runtime {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class PodRuntime : public testing::Test {
 protected:
  ~PodRuntime() override { failpoints_arm(""); }

  Runtime& runtime() { return world_.runtime(); }
  PodSpec script_pod(const std::string& name) {
    return host_network_pod(name, {script_container(world_, "app")});
  }
  // A Pod whose container runs this shell command.
  PodSpec shell_pod(const std::string& name, const std::string& command) {
    PodSpec pod = script_pod(name);
    pod.containers[0].command = {"/bin/sh", "-c", command};
    return pod;
  }
  Result<ContainerStatus> try_run(const PodSpec& pod) {
    const auto ip = runtime().prepare_pod(pod, {});
    if (!ip) return fail(ip.error());
    return runtime().start_container(pod, pod.containers.at(0), 0, {});
  }
  ContainerStatus run(const PodSpec& pod) {
    auto started = try_run(pod);
    EXPECT_TRUE(started) << started.error().full();
    return started.value_or(ContainerStatus{});
  }
  // The container of the only Pod there is; an empty status where there is none.
  ContainerStatus only_container() {
    const auto pods = runtime().observe();
    EXPECT_TRUE(pods) << pods.error().full();
    if (!pods || pods->size() != 1 || pods->front().containers.size() != 1) return {};
    return pods->front().containers.front();
  }
  bool wait_for_exit() {
    return test::wait_until([&] { return only_container().state == ContainerState::Exited; });
  }
  void remove_everything(const std::string& pod) {
    const Status removed = runtime().remove_pod(pod);
    EXPECT_TRUE(removed) << removed.error().full();
    EXPECT_EQ(world_.pod_leftovers(), "");
    EXPECT_THAT(world_.host_sides(), IsEmpty());
  }

  RealWorld world_;
};

constexpr const char* kStartSteps[] = {"pod.start.begin", "pod.start.container-created",
                                       "pod.start.snapshot-prepared", "pod.start.task-created",
                                       "pod.start.task-started"};
constexpr const char* kRemoveSteps[] = {"pod.remove.begin",
                                        "pod.remove.killed",
                                        "pod.remove.task-deleted",
                                        "pod.remove.snapshot-removed",
                                        "pod.remove.container-deleted",
                                        "pod.remove.containers",
                                        "pod.remove.network",
                                        "pod.remove.volumes",
                                        "pod.remove.logs"};

TEST_F(PodRuntime, UndoesAStartThatFailsAtAnyStep) {
  for (const std::string step : kStartSteps) {
    SCOPED_TRACE(step);
    failpoints_arm(step + "=error");
    EXPECT_FALSE(try_run(script_pod("web")));
    failpoints_arm("");
    EXPECT_EQ(world_.leftovers(), "");
  }
  run(script_pod("web"));
  remove_everything("web");
}

TEST_F(PodRuntime, GoesOnAfterACrashAtAnyStepOfAStart) {
  for (const std::string step : kStartSteps) {
    SCOPED_TRACE(step);
    // Nothing is undone, as after a SIGKILL.
    failpoints_arm(step + "=error,pod.remove.begin=error");
    EXPECT_FALSE(try_run(script_pod("web")));
    failpoints_arm("");
    world_.restart_agent();
    const ContainerStatus seen = only_container();
    const bool started = step == "pod.start.task-started";
    const bool recorded = step != "pod.start.begin";
    if (recorded) {
      EXPECT_EQ(seen.state, started ? ContainerState::Running : ContainerState::Created);
    }
    const ContainerStatus again = run(script_pod("web"));
    EXPECT_EQ(again.state, ContainerState::Running);
    if (started) {
      EXPECT_EQ(again.pid, seen.pid) << "what runs is adopted";
    }
    EXPECT_EQ(only_container().id, again.id);
    remove_everything("web");
  }
}

TEST_F(PodRuntime, GoesOnAfterACrashWithoutALookFirst) {
  failpoints_arm("pod.start.task-created=error,pod.remove.begin=error");
  EXPECT_FALSE(try_run(script_pod("web")));
  failpoints_arm("");
  // It does not know of the record it made: AlreadyExists tells it.
  EXPECT_EQ(run(script_pod("web")).state, ContainerState::Running);
  remove_everything("web");
}

TEST_F(PodRuntime, GoesOnAfterACrashAtAnyStepOfARemoval) {
  for (const std::string step : kRemoveSteps) {
    SCOPED_TRACE(step);
    run(script_pod("web"));
    failpoints_arm(step + "=error");
    EXPECT_FALSE(runtime().remove_pod("web"));
    failpoints_arm("");
    world_.restart_agent();
    ASSERT_TRUE(runtime().observe());
    remove_everything("web");
  }
}

TEST_F(PodRuntime, CollectsAfterACrashInARemoval) {
  run(script_pod("web"));
  failpoints_arm("pod.remove.containers=error");
  EXPECT_FALSE(runtime().remove_pod("web"));
  failpoints_arm("");
  world_.restart_agent();
  EXPECT_THAT(world_.host_sides(), Contains("web"));
  const Status collected = runtime().collect_leftovers({});
  ASSERT_TRUE(collected) << collected.error().full();
  EXPECT_EQ(world_.pod_leftovers(), "");
  EXPECT_THAT(world_.host_sides(), IsEmpty());
}

TEST_F(PodRuntime, SaysThatAProgramDoesNotExist) {
  PodSpec pod = script_pod("web");
  pod.containers[0].command = {"/no/such/program"};
  const auto started = try_run(pod);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().reason(), "RunContainerError");
  EXPECT_THAT(started.error().full(), HasSubstr("/no/such/program"));
  EXPECT_EQ(world_.leftovers(), "");
}

TEST_F(PodRuntime, SaysThatAUserDoesNotExist) {
  test::ImageOptions options;
  options.user = "stranger";
  world_.import("registry.local/stranger:1", options);
  PodSpec pod = script_pod("web");
  pod.containers[0].image = "registry.local/stranger:1";
  const auto started = try_run(pod);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().reason(), "CreateContainerConfigError");
  EXPECT_THAT(started.error().full(), HasSubstr("stranger"));
  EXPECT_EQ(world_.leftovers(), "");
}

TEST_F(PodRuntime, FindsTheUserOfAnImageInItsLayers) {
  test::ImageOptions options;
  options.user = "app";
  options.extra_layers = {1000, 1000};
  world_.import("registry.local/user:1", options);
  PodSpec pod = script_pod("web");
  pod.containers[0].image = "registry.local/user:1";
  const ContainerStatus started = run(pod);
  const std::string status = test::read_text("/proc/" + std::to_string(started.pid) + "/status");
  EXPECT_THAT(status, HasSubstr("Uid:\t1000\t1000"));
  remove_everything("web");
}

TEST_F(PodRuntime, KnowsWhatWasKilledForMemory) {
  std::mutex mutex;
  std::vector<Event> events;
  runtime().watch([&](const Event& event) {
    const std::lock_guard lock(mutex);
    events.push_back(event);
  });
  PodSpec pod = shell_pod("web", "tail /dev/zero");
  pod.containers[0].resources.memory_limit = 16 << 20;
  const ContainerStatus started = run(pod);
  ASSERT_TRUE(wait_for_exit());
  EXPECT_EQ(only_container().exit_code, 137);
  EXPECT_TRUE(only_container().oom_killed);
  EXPECT_TRUE(test::wait_until([&] {
    const std::lock_guard lock(mutex);
    for (const Event& event : events) {
      if (event.kind == Event::Kind::ContainerOom && event.container_id == started.id) return true;
    }
    return false;
  }));
  world_.restart_agent();
  EXPECT_TRUE(only_container().oom_killed) << "an agent that did not hear the event knows it too";
  remove_everything("web");
}

TEST_F(PodRuntime, SaysHowAContainerEndedEvenToAnAgentThatWasAway) {
  const ContainerStatus started = run(script_pod("web"));
  world_.end_with_3(started);
  world_.restart_agent();
  ASSERT_TRUE(wait_for_exit());
  EXPECT_EQ(only_container().exit_code, 3);
  EXPECT_EQ(only_container().started_at, started.started_at);
  remove_everything("web");
}

// The parent of a container's first process.
pid_t shim_of(uint32_t pid) {
  const std::string status = test::read_text("/proc/" + std::to_string(pid) + "/status");
  const size_t at = status.find("PPid:");
  return at == std::string::npos ? -1 : static_cast<pid_t>(std::stol(status.substr(at + 5)));
}

TEST_F(PodRuntime, CallsAContainerDeadWhoseShimWasKilled) {
  const ContainerStatus started = run(script_pod("web"));
  const pid_t shim = shim_of(started.pid);
  ASSERT_GT(shim, 1);
  ::kill(shim, SIGKILL);
  ASSERT_TRUE(wait_for_exit());
  EXPECT_THAT(only_container().exit_code, AnyOf(255, 137));
  EXPECT_FALSE(only_container().before_boot);
  EXPECT_EQ(run(script_pod("web")).state, ContainerState::Running);
  remove_everything("web");
}

TEST_F(PodRuntime, PutsLimitsOnACgroupOfItsOwn) {
  PodSpec pod = script_pod("web");
  pod.containers[0].resources.memory_limit = 64 << 20;
  const ContainerStatus started = run(pod);
  const std::string path = "/wherry-" + world_.instance() + "/web/" + started.id;
  const std::string pids = test::read_text("/sys/fs/cgroup/pids" + path + "/pids.max") +
                           test::read_text("/sys/fs/cgroup" + path + "/pids.max");
  EXPECT_EQ(trim(pids), "200") << "the agent's default";
  const std::string memory =
      test::read_text("/sys/fs/cgroup/memory" + path + "/memory.limit_in_bytes") +
      test::read_text("/sys/fs/cgroup" + path + "/memory.max");
  EXPECT_EQ(trim(memory), std::to_string(64 << 20));
  remove_everything("web");
}

TEST_F(PodRuntime, KeepsWhatAContainerWrites) {
  run(shell_pod("web", "echo to stdout; echo to stderr >&2"));
  ASSERT_TRUE(wait_for_exit());
  EXPECT_TRUE(test::wait_until([&] {
    std::string text;
    LogQuery query;
    query.pod = "web";
    const Status read = world_.logs().read(
        query, [&](std::string_view bytes) { return text.append(bytes), true; }, {});
    return read && text.find("to stdout\n") != std::string::npos &&
           text.find("to stderr\n") != std::string::npos;
  }));
  remove_everything("web");
}

TEST_F(PodRuntime, GivesAPodAnAddressUntilTheDeviceReboots) {
  PodSpec pod = script_pod("web");
  pod.host_network = false;
  run(pod);
  auto pods = runtime().observe();
  ASSERT_TRUE(pods) << pods.error().full();
  ASSERT_THAT(*pods, SizeIs(1));
  EXPECT_TRUE(pods->front().network_ready);
  EXPECT_THAT(pods->front().ip, testing::StartsWith("10.93.0."));
  world_.reboot();
  pods = runtime().observe();
  ASSERT_TRUE(pods) << pods.error().full();
  EXPECT_FALSE(pods->front().network_ready);
  EXPECT_EQ(pods->front().ip, "");
  run(pod);
  EXPECT_TRUE(runtime().observe()->front().network_ready);
  remove_everything("web");
}

TEST_F(PodRuntime, LeavesTheContainersOfOthersAlone) {
  ContainerRecord other;
  other.id = "other";
  other.labels = {{"wherry/pod", "web"}, {"wherry/instance", "another-agent"}};
  other.runtime_name = "io.containerd.runc.v2";
  other.spec_json = "{}";
  ASSERT_TRUE(world_.client().containers().create(other));
  run(script_pod("web"));
  EXPECT_EQ(only_container().pod, "web");
  ASSERT_TRUE(runtime().remove_pod("web"));
  ASSERT_TRUE(runtime().collect_leftovers({}));
  EXPECT_TRUE(world_.client().containers().get("other"));
  ASSERT_TRUE(world_.client().containers().remove("other"));
}

TEST_F(PodRuntime, WorksOnManyPodsAtOnce) {
  constexpr int kPods = 12;
  const auto in_parallel = [&](const std::function<void(const std::string&)>& work) {
    std::atomic<int> next{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = next++; i < kPods; i = next++) work("pod-" + std::to_string(i));
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
  in_parallel([&](const std::string& name) { run(script_pod(name)); });
  const auto pods = runtime().observe();
  ASSERT_TRUE(pods) << pods.error().full();
  EXPECT_THAT(*pods, SizeIs(kPods));
  for (const PodStatus& pod : *pods) {
    EXPECT_EQ(pod.containers.at(0).state, ContainerState::Running) << pod.name;
  }
  in_parallel([&](const std::string& name) { EXPECT_TRUE(runtime().remove_pod(name)); });
  EXPECT_EQ(world_.pod_leftovers(), "");
}

TEST_F(PodRuntime, RecoversWhenContainerdIsKilledUnderLoad) {
  std::vector<std::thread> threads;
  std::atomic<int> begun{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 3; ++i) {
        ++begun;
        static_cast<void>(try_run(script_pod("pod-" + std::to_string(t * 3 + i))));
      }
    });
  }
  EXPECT_TRUE(test::wait_until([&] { return begun >= 5; }));
  world_.daemon().kill();
  for (std::thread& thread : threads) thread.join();
  world_.daemon().start();
  for (int i = 0; i < 9; ++i) run(script_pod("pod-" + std::to_string(i)));
  for (int i = 0; i < 9; ++i) {
    const Status removed = runtime().remove_pod("pod-" + std::to_string(i));
    EXPECT_TRUE(removed) << removed.error().full();
  }
  EXPECT_EQ(world_.leftovers(), "");
}

TEST_F(PodRuntime, StartsWhereContainerdLeftTheDirectoryOfATask) {
  const ContainerStatus first = run(script_pod("web"));
  const std::string tasks = world_.daemon().directory() + "/state/io.containerd.runtime.v2.task";
  std::string left;
  for (const auto& space : std::filesystem::directory_iterator(tasks)) {
    if (std::filesystem::exists(space.path() / first.id)) left = space.path() / first.id;
  }
  ASSERT_NE(left, "");
  remove_everything("web");
  ASSERT_TRUE(std::filesystem::create_directory(left));
  const ContainerStatus again = run(script_pod("web"));
  EXPECT_NE(again.id, first.id);
  EXPECT_EQ(only_container().state, ContainerState::Running);
  const ContainerStatus adopted = run(script_pod("web"));
  EXPECT_EQ(adopted.id, again.id);
  EXPECT_EQ(adopted.pid, again.pid) << "the same start again changes nothing";
  remove_everything("web");
}

// What a file of the container's or Pod's cgroup says, in whichever hierarchy it is.
std::string cgroup_file(const std::string& path, const std::string& name) {
  for (const std::string hierarchy : {"", "/memory", "/cpu", "/cpu,cpuacct", "/unified"}) {
    const std::string text = test::read_text("/sys/fs/cgroup" + hierarchy + path + "/" + name);
    if (!text.empty()) return std::string(trim(text));
  }
  return {};
}

TEST_F(PodRuntime, GivesAContainerItsSizeAndChangesItInPlace) {
  const bool v2 = detect_host().cgroup_v2;
  PodSpec pod = script_pod("web");
  Resources& size = pod.containers[0].resources;
  size.memory_limit = size.memory_request = 64 << 20;
  size.cpu_limit_milli = size.cpu_request_milli = 500;
  const ContainerStatus started = run(pod);
  const std::string of_pod = "/wherry-" + world_.instance() + "/web";
  const std::string own = of_pod + "/" + started.id;
  const char* limit = v2 ? "memory.max" : "memory.limit_in_bytes";
  const char* quota = v2 ? "cpu.max" : "cpu.cfs_quota_us";
  const char* shares = v2 ? "cpu.weight" : "cpu.shares";
  EXPECT_EQ(cgroup_file(own, limit), "67108864");
  EXPECT_EQ(cgroup_file(own, quota), v2 ? "50000 100000" : "50000");
  EXPECT_EQ(cgroup_file(own, shares), v2 ? "20" : "512");
  EXPECT_EQ(cgroup_file(of_pod, shares), v2 ? "20" : "512") << "Pods compete by what they ask for";
  const std::string score =
      test::read_text("/proc/" + std::to_string(started.pid) + "/oom_score_adj");
  EXPECT_EQ(std::atoi(score.c_str()), std::max(-997, detect_host().least_oom_score));

  size.memory_limit = size.memory_request = 128 << 20;
  size.cpu_limit_milli = size.cpu_request_milli = 250;
  Status resized = world_.resizer().resize(pod, pod.containers[0], started.id);
  ASSERT_TRUE(resized) << resized.error().full();
  EXPECT_EQ(cgroup_file(own, limit), "134217728");
  EXPECT_EQ(cgroup_file(own, quota), v2 ? "25000 100000" : "25000");
  EXPECT_EQ(cgroup_file(of_pod, shares), v2 ? "10" : "256");
  EXPECT_THAT(world_.client().containers().get(started.id)->spec_json, HasSubstr("134217728"));

  size = {};
  resized = world_.resizer().resize(pod, pod.containers[0], started.id);
  ASSERT_TRUE(resized) << resized.error().full();
  EXPECT_EQ(cgroup_file(own, quota), v2 ? "max 100000" : "-1") << "no limit any more";
  EXPECT_NE(cgroup_file(own, limit), "134217728");
  EXPECT_EQ(only_container().pid, started.pid);
  remove_everything("web");
}

TEST_F(PodRuntime, TakesNoMemoryThatIsInUse) {
  // tail keeps the last line, and this one has no end.
  PodSpec pod = shell_pod("web", "(head -c 40000000 /dev/zero; sleep 1000) | tail -n 1");
  Resources& size = pod.containers[0].resources;
  size.memory_limit = size.memory_request = 256 << 20;
  const ContainerStatus started = run(pod);
  const std::string own = "/wherry-" + world_.instance() + "/web/" + started.id;
  const bool v2 = detect_host().cgroup_v2;
  ASSERT_TRUE(test::wait_until([&] {
    return std::atoll(cgroup_file(own, v2 ? "memory.current" : "memory.usage_in_bytes").c_str()) >
           40'000'000;
  }));
  size.memory_limit = size.memory_request = 16 << 20;
  const Status resized = world_.resizer().resize(pod, pod.containers[0], started.id);
  ASSERT_FALSE(resized);
  EXPECT_EQ(resized.error().reason(), "MemoryInUse");
  EXPECT_THAT(resized.error().full(), HasSubstr("new limit of 16.0 MiB"));
  EXPECT_EQ(cgroup_file(own, v2 ? "memory.max" : "memory.limit_in_bytes"), "268435456");
  EXPECT_EQ(only_container().size->memory_limit, 256 << 20);
  EXPECT_EQ(only_container().pid, started.pid);
  remove_everything("web");
}

TEST_F(PodRuntime, MeasuresWhatAPodUses) {
  PodSpec pod = shell_pod("web",
                          "dd if=/dev/zero of=/data/file bs=1M count=3; "
                          "dd if=/dev/zero of=/root-file bs=1M count=2; "
                          "(head -c 20000000 /dev/zero; sleep 1000) | tail -n 1");
  Volume data;
  data.name = "data";
  pod.volumes = {data};
  pod.containers[0].mounts = {{"data", "/data"}};
  run(pod);
  run(script_pod("other"));
  const auto gauges =
      make_gauges(world_.client(), nullptr, {world_.state_dir(), world_.instance()});
  const auto measure = [&] {
    const auto all = gauges->pods(true);
    EXPECT_TRUE(all) << all.error().full();
    return all ? *all : std::map<std::string, PodUsage>();
  };
  ASSERT_TRUE(test::wait_until([&] { return measure()["web"].memory > 20'000'000; }));
  auto all = measure();
  EXPECT_GE(all["web"].disk, 5 << 20);
  EXPECT_LT(all["web"].disk, 7 << 20);
  EXPECT_GE(all["web"].containers["app"], 2 << 20);
  EXPECT_GE(all["web"].volumes["data"], 3 << 20);
  EXPECT_LT(all["web"].volumes["data"], 4 << 20);
  EXPECT_GE(all["web"].processes, 3);
  EXPECT_LT(all["other"].disk, 1 << 20);
  EXPECT_LT(all["other"].memory, 20'000'000);
  EXPECT_GT(all["other"].processes, 0);
  const DeviceGauge device = gauges->device();
  EXPECT_GT(device.memory_total, device.memory_available);
  EXPECT_GT(device.memory_available, 0);
  EXPECT_GT(device.processes, 0);
  EXPECT_GT(device.processes_most, device.processes);
  ASSERT_TRUE(runtime().remove_pod("other"));
  remove_everything("web");
}

TEST_F(PodRuntime, AResizeThatACrashCutShortIsDoneAgain) {
  PodSpec pod = script_pod("web");
  pod.containers[0].resources.memory_limit = 64 << 20;
  const ContainerStatus started = run(pod);
  pod.containers[0].resources.memory_limit = 128 << 20;
  for (const char* step : {"pod.resize.begin", "pod.resize.task-updated"}) {
    failpoints_arm(std::string(step) + "=error");
    EXPECT_FALSE(world_.resizer().resize(pod, pod.containers[0], started.id)) << step;
    failpoints_arm("");
    EXPECT_EQ(only_container().size->memory_limit, 64 << 20) << "seen as not done";
  }
  world_.restart_agent();
  ASSERT_TRUE(world_.resizer().resize(pod, pod.containers[0], started.id));
  EXPECT_EQ(only_container().size->memory_limit, 128 << 20);
}

}  // namespace
}  // namespace wherry::runtime
