// What runtime.h promises, on the fake and on containerd.

#include <csignal>
#include <mutex>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/contract/runtime_world.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace wherry::runtime {

namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

struct Kind {
  const char* name;
  std::unique_ptr<RuntimeWorld> (*make)();
};

std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

class RuntimeContract : public testing::TestWithParam<Kind> {
 protected:
  RuntimeContract() : world_(GetParam().make()) {}

  Runtime& runtime() { return world_->runtime(); }
  ContainerSpec script(const std::string& name) { return script_container(*world_, name); }

  // Prepared, and all its containers started with attempt 0.
  std::vector<ContainerStatus> run(const PodSpec& pod) {
    const auto ip = runtime().prepare_pod(pod, {});
    EXPECT_TRUE(ip) << ip.error().full();
    std::vector<ContainerStatus> started;
    for (const ContainerSpec& container : pod.containers) {
      started.push_back(start(pod, container, 0));
    }
    return started;
  }
  ContainerStatus start(const PodSpec& pod, const ContainerSpec& container, uint32_t attempt) {
    auto status = runtime().start_container(pod, container, attempt, {});
    EXPECT_TRUE(status) << status.error().full();
    return status.value_or(ContainerStatus{});
  }
  std::vector<PodStatus> observe() {
    auto pods = runtime().observe();
    EXPECT_TRUE(pods) << pods.error().full();
    return pods.value_or(std::vector<PodStatus>{});
  }
  // The one Pod there is.
  PodStatus observe_one() {
    std::vector<PodStatus> pods = observe();
    EXPECT_THAT(pods, SizeIs(1));
    return pods.empty() ? PodStatus{} : pods.front();
  }
  bool wait_for_state(ContainerState state) {
    return test::wait_until([&] {
      const auto pods = runtime().observe();
      return pods && pods->size() == 1 && pods->front().containers.size() == 1 &&
             pods->front().containers.front().state == state;
    });
  }

  std::unique_ptr<RuntimeWorld> world_;
};

TEST_P(RuntimeContract, ShowsNothingWhereNothingIs) { EXPECT_THAT(observe(), IsEmpty()); }

TEST_P(RuntimeContract, GivesNoDeviceTwice) {
  world_->plug("cam0", "full");
  world_->plug("cam1", "zero");
  const auto asking = [&](const std::string& name) {
    PodSpec pod = host_network_pod(name, {script("app")});
    pod.containers[0].resources.extended["example.com/camera"] = 1;
    return pod;
  };
  const PodSpec a = asking("a"), b = asking("b"), c = asking("c");
  const ContainerStatus first = run(a).at(0), second = run(b).at(0);
  ASSERT_THAT(first.devices, SizeIs(1));
  ASSERT_THAT(second.devices, SizeIs(1));
  EXPECT_EQ(first.devices[0].resource, "example.com/camera");
  EXPECT_EQ(first.devices[0].number, "c 1:7");
  EXPECT_NE(first.devices[0].unit, second.devices[0].unit);
  for (const PodStatus& pod : observe()) {
    const auto& expected = pod.name == "a" ? first.devices : second.devices;
    EXPECT_EQ(pod.containers.at(0).devices, expected)
        << "it is observed, and so outlives the agent";
  }
  ASSERT_TRUE(runtime().prepare_pod(c, {}));
  const auto none = runtime().start_container(c, c.containers[0], 0, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().reason(), "InsufficientDevices");
  ASSERT_TRUE(runtime().remove_container(first.id));
  EXPECT_EQ(start(c, c.containers[0], 0).devices, first.devices) << "free again";

  // A start again gets the same one; what is not there is waited for.
  world_->plug("cam2", "random");
  world_->end_with_3(second);
  ASSERT_TRUE(test::wait_until([&] {
    for (const PodStatus& pod : observe()) {
      if (pod.name == "b") return pod.containers.at(0).state == ContainerState::Exited;
    }
    return false;
  }));
  const ContainerStatus again = start(b, b.containers[0], 1);
  EXPECT_EQ(again.devices, second.devices);
  world_->unplug("cam2");
  ASSERT_TRUE(runtime().prepare_pod(a, {}));
  PodSpec more = a;
  more.containers[0].resources.extended["example.com/camera"] = 3;
  const auto absent = runtime().start_container(more, more.containers[0], 0, {});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().reason(), "WaitingForDevice");
  for (const PodSpec& pod : {a, b, c}) EXPECT_TRUE(runtime().remove_pod(pod.name));
}

TEST_P(RuntimeContract, RunsProgramsInARunningContainer) {
  const PodSpec pod = host_network_pod("web", {script("app")});
  const std::string id = run(pod).at(0).id;
  const auto exec = [&](std::vector<std::string> argv, Duration timeout) {
    return world_->execs().exec({id, std::move(argv), timeout, 8}, {});
  };
  const Duration enough = std::chrono::seconds(20);
  const auto said = exec({"echo", "hello", "world"}, enough);
  ASSERT_TRUE(said) << said.error().full();
  EXPECT_EQ(said->exit_code, 0);
  EXPECT_EQ(said->out, "hello wo") << "no more than was asked for";
  const auto failed = exec({"false"}, enough);
  ASSERT_TRUE(failed) << failed.error().full();
  EXPECT_EQ(failed->exit_code, 1);
  const auto late = exec({"sleep", "100000"}, std::chrono::milliseconds(300));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Code::DeadlineExceeded);
  const auto missing = exec({"no-such-program"}, enough);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::FailedPrecondition);
  EXPECT_EQ(missing.error().full(), "the container has no program \"no-such-program\"");
  const auto absent = exec({"/no/such/program"}, enough);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().full(), "the container has no program \"/no/such/program\"");
  EXPECT_EQ(exec({}, enough).error().code(), Code::InvalidArgument);
  EXPECT_EQ(observe_one().containers.at(0).state, ContainerState::Running);
  ASSERT_TRUE(runtime().remove_pod("web"));
  EXPECT_EQ(exec({"true"}, enough).error().code(), Code::NotFound);
}

TEST_P(RuntimeContract, SaysThatAContainerEndedWhileAProgramRanInIt) {
  const std::string id = run(host_network_pod("web", {script("app")})).at(0).id;
  const auto cut_short = world_->execs().exec(
      {id, {"sh", "-c", "kill -USR1 1; sleep 100000"}, std::chrono::minutes(1)}, {});
  ASSERT_FALSE(cut_short);
  EXPECT_EQ(cut_short.error().code(), Code::NotFound) << cut_short.error().full();
  ASSERT_TRUE(wait_for_state(ContainerState::Exited));
  EXPECT_EQ(observe_one().containers.at(0).exit_code, 3);
}

TEST_P(RuntimeContract, ShowsWhatAContainerIsFor) {
  PodSpec pod = host_network_pod("web", {script("proxy"), script("app")});
  pod.containers[0].role = ContainerRole::Sidecar;
  run(pod);
  for (const ContainerStatus& status : observe_one().containers) {
    const bool sidecar = status.name == "proxy";
    EXPECT_EQ(status.role, sidecar ? ContainerRole::Sidecar : ContainerRole::Main);
  }
}

TEST_P(RuntimeContract, StartsAContainerAndShowsIt) {
  const PodSpec pod = host_network_pod("web", {script("app")});
  const ContainerStatus started = run(pod).at(0);
  EXPECT_EQ(started.state, ContainerState::Running);
  EXPECT_GT(started.pid, 0U);
  EXPECT_EQ(started.pod, "web");
  EXPECT_EQ(started.name, "app");

  const PodStatus seen = observe_one();
  EXPECT_EQ(seen.name, "web");
  EXPECT_EQ(seen.hash, "hash-of-web");
  EXPECT_EQ(seen.labels, pod.labels);
  EXPECT_EQ(seen.ip, "");
  EXPECT_TRUE(seen.network_ready);
  ASSERT_THAT(seen.containers, SizeIs(1));
  const ContainerStatus& container = seen.containers.front();
  EXPECT_EQ(container.id, started.id);
  EXPECT_EQ(container.state, ContainerState::Running);
  EXPECT_EQ(container.pid, started.pid);
  EXPECT_EQ(container.image, world_->image());
  EXPECT_THAT(container.image_digest, testing::StartsWith("sha256:"));
  EXPECT_EQ(container.image_digest, started.image_digest);
  EXPECT_EQ(container.attempt, 0U);
  EXPECT_EQ(container.started_at, started.started_at);
  EXPECT_GT(container.started_at, WallTime());
}

TEST_P(RuntimeContract, AdoptsWhatRunsAlready) {
  const PodSpec pod = host_network_pod("web", {script("app")});
  const ContainerStatus first = run(pod).at(0);
  const ContainerStatus again = run(pod).at(0);
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.pid, first.pid);
  EXPECT_EQ(again.state, ContainerState::Running);
  EXPECT_THAT(observe_one().containers, SizeIs(1));
}

TEST_P(RuntimeContract, ReplacesADeadContainer) {
  const PodSpec pod = host_network_pod("web", {script("app")});
  const ContainerStatus first = run(pod).at(0);
  world_->end_with_3(first);
  ASSERT_TRUE(wait_for_state(ContainerState::Exited));
  const ContainerStatus dead = observe_one().containers.at(0);
  EXPECT_EQ(dead.exit_code, 3);
  EXPECT_EQ(dead.pid, 0U);
  EXPECT_FALSE(dead.oom_killed);
  EXPECT_FALSE(dead.before_boot);
  EXPECT_GE(dead.finished_at, dead.started_at);

  const ContainerStatus second = start(pod, pod.containers[0], 1);
  EXPECT_NE(second.id, first.id);
  const PodStatus seen = observe_one();
  ASSERT_THAT(seen.containers, SizeIs(1)) << "the dead one is removed";
  EXPECT_EQ(seen.containers[0].id, second.id);
  EXPECT_EQ(seen.containers[0].attempt, 1U);
  EXPECT_EQ(seen.containers[0].state, ContainerState::Running);
}

TEST_P(RuntimeContract, StartsADeadOneAnewUnderTheSameAttempt) {
  const PodSpec pod = host_network_pod("web", {script("app")});
  const ContainerStatus first = run(pod).at(0);
  world_->end_with_3(first);
  ASSERT_TRUE(wait_for_state(ContainerState::Exited));
  const ContainerStatus again = start(pod, pod.containers[0], 0);
  EXPECT_NE(again.pid, first.pid);
  EXPECT_THAT(observe_one().containers, SizeIs(1));
}

TEST_P(RuntimeContract, SignalsTheFirstProcess) {
  const ContainerStatus started = run(host_network_pod("web", {script("app")})).at(0);
  // A signal that comes before the program itself runs ends the runtime's helper in its place.
  ASSERT_TRUE(test::wait_until([&] {
    const std::string comm = test::read_text("/proc/" + std::to_string(started.pid) + "/comm");
    return !comm.starts_with("runc");
  }));
  const Status sent = runtime().signal_container(started.id, SIGTERM);
  ASSERT_TRUE(sent) << sent.error().full();
  // Until it has its trap, a container's first process ignores the signal.
  ASSERT_TRUE(test::wait_until(
      [&] { return !runtime().signal_container(started.id, SIGTERM).has_value(); }));
  ASSERT_TRUE(wait_for_state(ContainerState::Exited));
  EXPECT_EQ(observe_one().containers.at(0).exit_code, 128 + SIGTERM);
  const Status late = runtime().signal_container(started.id, SIGTERM);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Code::NotFound) << late.error().full();
  const Status nobody = runtime().signal_container("no-such-container", SIGTERM);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code(), Code::NotFound) << nobody.error().full();
}

TEST_P(RuntimeContract, ResizesAContainerThatRuns) {
  PodSpec pod = host_network_pod("web", {script("app")});
  pod.containers[0].resources.memory_limit = pod.containers[0].resources.memory_request = 64 << 20;
  const ContainerStatus started = run(pod).at(0);
  ASSERT_TRUE(observe_one().containers.at(0).size);
  EXPECT_TRUE(same_size(*observe_one().containers.at(0).size, pod.containers[0].resources));

  pod.containers[0].resources.memory_limit = 128 << 20;
  pod.containers[0].resources.cpu_limit_milli = 500;
  for (int twice = 0; twice < 2; ++twice) {
    const Status resized = world_->resizer().resize(pod, pod.containers[0], started.id);
    ASSERT_TRUE(resized) << resized.error().full();
  }
  const ContainerStatus seen = observe_one().containers.at(0);
  EXPECT_EQ(seen.pid, started.pid) << "it ran on";
  ASSERT_TRUE(seen.size);
  EXPECT_TRUE(same_size(*seen.size, pod.containers[0].resources));
  EXPECT_EQ(observe_one().labels, pod.labels);

  world_->end_with_3(started);
  ASSERT_TRUE(wait_for_state(ContainerState::Exited));
  const Status late = world_->resizer().resize(pod, pod.containers[0], started.id);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Code::NotFound) << late.error().full();
}

TEST_P(RuntimeContract, RemovesAContainerRunningOrNot) {
  const PodSpec pod = host_network_pod("web", {script("app"), script("side")});
  const std::vector<ContainerStatus> started = run(pod);
  for (int twice = 0; twice < 2; ++twice) {
    const Status removed = runtime().remove_container(started[0].id);
    ASSERT_TRUE(removed) << removed.error().full();
  }
  const PodStatus seen = observe_one();
  ASSERT_THAT(seen.containers, SizeIs(1));
  EXPECT_EQ(seen.containers[0].name, "side");
  EXPECT_EQ(seen.containers[0].state, ContainerState::Running);
}

TEST_P(RuntimeContract, RemovesAPodAndAllThatBelongsToIt) {
  run(host_network_pod("web", {script("app"), script("side")}));
  const ContainerStatus other = run(host_network_pod("db", {script("app")})).at(0);
  for (int twice = 0; twice < 2; ++twice) {
    const Status removed = runtime().remove_pod("web");
    ASSERT_TRUE(removed) << removed.error().full();
  }
  EXPECT_THAT(world_->host_sides(), Not(Contains("web")));
  EXPECT_THAT(world_->host_sides(), Contains("db"));
  const PodStatus seen = observe_one();
  EXPECT_EQ(seen.name, "db");
  EXPECT_EQ(seen.containers.at(0).pid, other.pid) << "its neighbour is left alone";
}

TEST_P(RuntimeContract, SaysThatAnImageIsMissing) {
  ContainerSpec container = script("app");
  container.image = "registry.local/absent:1";
  const PodSpec pod = host_network_pod("web", {container});
  ASSERT_TRUE(runtime().prepare_pod(pod, {}));
  const auto started = runtime().start_container(pod, container, 0, {});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::NotFound);
  EXPECT_EQ(started.error().reason(), "ImageNotPresent");
  EXPECT_THAT(observe(), IsEmpty());
}

TEST_P(RuntimeContract, DoesNotStartInAPodWithoutItsNetwork) {
  PodSpec pod = host_network_pod("web", {script("app")});
  pod.host_network = false;
  const auto started = runtime().start_container(pod, pod.containers[0], 0, {});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().reason(), Not(IsEmpty()));
  EXPECT_THAT(observe(), IsEmpty());
}

TEST_P(RuntimeContract, DoesNothingOnceCancelled) {
  const PodSpec pod = host_network_pod("web", {script("app")});
  ASSERT_TRUE(runtime().prepare_pod(pod, {}));
  CancelToken cancel;
  cancel.cancel();
  const auto started = runtime().start_container(pod, pod.containers[0], 0, cancel);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::Cancelled) << started.error().full();
  EXPECT_THAT(observe(), IsEmpty());
}

class Recorder {
 public:
  EventSink sink() {
    return [this](const Event& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    };
  }
  std::vector<Event> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  bool wait_for(Event::Kind kind, size_t count = 1) {
    return test::wait_until([&] {
      size_t seen = 0;
      for (const Event& event : events()) seen += event.kind == kind ? 1 : 0;
      return seen >= count;
    });
  }

 private:
  std::mutex mutex_;
  std::vector<Event> events_;
};

TEST_P(RuntimeContract, TellsOfExits) {
  Recorder recorder;
  runtime().watch(recorder.sink());
  ASSERT_TRUE(recorder.wait_for(Event::Kind::Connected));
  EXPECT_EQ(recorder.events().front().kind, Event::Kind::Connected);
  const ContainerStatus started = run(host_network_pod("web", {script("app")})).at(0);
  world_->end_with_3(started);
  ASSERT_TRUE(recorder.wait_for(Event::Kind::ContainerExited));
  const Event event = recorder.events().back();
  EXPECT_EQ(event.pod, "web");
  EXPECT_EQ(event.container_id, started.id);
  world_.reset();  // before the recorder goes
}

TEST_P(RuntimeContract, SaysWhenTheContainerStackIsAwayAndKeepsEverything) {
  Recorder recorder;
  const PodSpec pod = host_network_pod("web", {script("app")});
  const ContainerStatus started = run(pod).at(0);
  runtime().watch(recorder.sink());
  ASSERT_TRUE(recorder.wait_for(Event::Kind::Connected));
  world_->disconnect();
  ASSERT_TRUE(recorder.wait_for(Event::Kind::Disconnected));
  const auto away = runtime().observe();
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code(), Code::Unavailable);
  const auto start = runtime().start_container(pod, pod.containers[0], 0, {});
  ASSERT_FALSE(start);
  EXPECT_EQ(start.error().code(), Code::Unavailable);
  world_->connect();
  ASSERT_TRUE(recorder.wait_for(Event::Kind::Connected, 2));
  EXPECT_EQ(observe_one().containers.at(0).pid, started.pid) << "it ran on";
  world_.reset();
}

TEST_P(RuntimeContract, ShowsAfterARebootWhatRanBefore) {
  PodSpec pod = host_network_pod("web", {script("app")});
  run(pod);
  world_->reboot();
  const PodStatus seen = observe_one();
  ASSERT_THAT(seen.containers, SizeIs(1));
  EXPECT_EQ(seen.containers[0].state, ContainerState::Exited);
  EXPECT_EQ(seen.containers[0].exit_code, 255);
  EXPECT_TRUE(seen.containers[0].before_boot);
  EXPECT_EQ(seen.containers[0].finished_at, WallTime()) << "nobody knows";
  run(pod);
  EXPECT_EQ(observe_one().containers.at(0).state, ContainerState::Running);
}

TEST_P(RuntimeContract, CollectsWhatBelongsToNobody) {
  ASSERT_TRUE(runtime().prepare_pod(host_network_pod("gone", {}), {}));
  ASSERT_TRUE(runtime().prepare_pod(host_network_pod("coming", {}), {}));
  run(host_network_pod("web", {script("app")}));
  const Status collected = runtime().collect_leftovers({"coming"});
  ASSERT_TRUE(collected) << collected.error().full();
  EXPECT_EQ(world_->host_sides(), (std::set<std::string>{"coming", "web"}));
  EXPECT_EQ(observe_one().containers.at(0).state, ContainerState::Running);
}

INSTANTIATE_TEST_SUITE_P(All, RuntimeContract,
                         testing::Values(Kind{"Fake", make_fake_world},
                                         Kind{"Containerd", make_real_world}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace wherry::runtime
