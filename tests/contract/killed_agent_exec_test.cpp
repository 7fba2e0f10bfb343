// What an agent that is killed in the middle of an exec leaves behind, and the next one finds.

#include <csignal>
#include <filesystem>
#include <future>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "base/files.h"
#include "runtime/spec/exec_process.h"
#include "tests/contract/real_world.h"
#include "tests/support/wait.h"

namespace wherry::runtime {
namespace {

class KilledAgentExec : public testing::Test {
 protected:
  KilledAgentExec() : pod_(host_network_pod("web", {script_container(world_, "app")})) {}

  void SetUp() override {
    ASSERT_TRUE(world_.runtime().prepare_pod(pod_, {}));
    const auto started = world_.runtime().start_container(pod_, pod_.containers[0], 0, {});
    ASSERT_TRUE(started) << started.error().full();
    container_ = *started;
    ASSERT_TRUE(make_directories(world_.run_dir() + "/exec", 0700));
  }
  // The pipes are there, and whoever was to read them is not.
  std::future<Status> exec_of_a_dead_agent(const std::string& id,
                                           const std::vector<std::string>& argv) {
    const std::string base = world_.run_dir() + "/exec/" + container_.id + "." + id;
    for (const char* end : {".out", ".err"}) {
      EXPECT_EQ(mkfifo((base + end).c_str(), 0600), 0);
    }
    const auto record = world_.client().containers().get(container_.id);
    EXPECT_TRUE(record);
    const auto process = exec_process(record->spec_json, argv);
    EXPECT_TRUE(process);
    Tasks& tasks = world_.client().tasks();
    const Status made = tasks.exec(container_.id, id, *process, {base + ".out", base + ".err"});
    EXPECT_TRUE(made) << made.error().full();
    return std::async(std::launch::async,
                      [this, id] { return world_.client().tasks().start_exec(container_.id, id); });
  }
  bool is_there(const std::string& id) {
    return world_.client().tasks().get_exec(container_.id, id).has_value();
  }

  RealWorld world_;
  PodSpec pod_;
  ContainerStatus container_;
};

TEST_F(KilledAgentExec, IsEndedByTheNextAndHoldsItsContainerUpNoLonger) {
  auto first = exec_of_a_dead_agent("x1", {"sleep", "100000"});
  auto second = exec_of_a_dead_agent("x2", {"true"});
  ContainerExec next(world_.client(), world_.run_dir());
  next.hold_left();
  // Without a reader they fail, after half a minute in which the shim says nothing.
  for (auto* start : {&first, &second}) {
    const Status started = start->get();
    EXPECT_TRUE(started) << started.error().full();
  }
  const auto pods = world_.runtime().observe();
  ASSERT_TRUE(pods) << pods.error().full();
  EXPECT_EQ(pods->at(0).containers.at(0).state, ContainerState::Running);
  EXPECT_EQ(pods->at(0).containers.at(0).pid, container_.pid);
  next.end_left();
  EXPECT_FALSE(is_there("x1"));
  EXPECT_FALSE(is_there("x2"));
  EXPECT_TRUE(std::filesystem::is_empty(world_.run_dir() + "/exec"));
  const auto said = next.exec({container_.id, {"echo", "fine"}, std::chrono::seconds(20), 100}, {});
  ASSERT_TRUE(said) << said.error().full();
  EXPECT_EQ(said->out, "fine\n");
  EXPECT_TRUE(world_.runtime().remove_pod("web"));
}

TEST_F(KilledAgentExec, IsKeptInMindWhileContainerdIsAway) {
  auto start = exec_of_a_dead_agent("x1", {"sleep", "100000"});
  ContainerExec next(world_.client(), world_.run_dir());
  next.hold_left();
  EXPECT_TRUE(start.get());
  world_.disconnect();
  next.end_left();
  EXPECT_FALSE(std::filesystem::is_empty(world_.run_dir() + "/exec"));
  world_.connect();
  EXPECT_TRUE(test::wait_until([&] {
    next.end_left();
    return std::filesystem::is_empty(world_.run_dir() + "/exec");
  }));
  EXPECT_FALSE(is_there("x1"));
  EXPECT_TRUE(world_.runtime().remove_pod("web"));
}

}  // namespace
}  // namespace wherry::runtime
