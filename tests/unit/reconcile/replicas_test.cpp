// Deployment, DaemonSet and StatefulSet on a container stack in memory.

#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"

namespace wherry::test {
namespace {

using std::chrono::seconds;

class ReplicasTest : public BenchTest {
 protected:
  ReplicasTest() { images_.add("img:2"); }

  std::string image(const std::string& name) {
    const WorkloadView view = workload(name);
    return view.containers.empty() ? "" : view.containers[0].image;
  }
  // How many of the Pods run at this moment, in whichever version.
  size_t up(const std::string& name, int replicas) {
    const auto pods = runtime_.observe();
    size_t count = 0;
    for (const runtime::PodStatus& pod : *pods) {
      for (int i = 0; i < replicas; ++i) {
        const bool own = pod.name == name + "-" + std::to_string(i);
        count += own && !running_ids(pod).empty() ? 1 : 0;
      }
    }
    return count;
  }
  // Spins step by step; the fewest Pods that ever ran at a time.
  size_t fewest_while_spinning(const std::string& name, int replicas) {
    size_t fewest = up(name, replicas);
    for (int i = 0; i < 1000; ++i) {
      reconciler_->step();
      bool busy = false;
      for (const Lane lane : {Lane::Look, Lane::Work, Lane::Tidy, Lane::Pull, Lane::Drop}) {
        busy = lanes_.run(lane) || busy;
        fewest = std::min(fewest, up(name, replicas));
      }
      if (!busy && mailbox_.empty()) return fewest;
    }
    ADD_FAILURE() << "does not come to rest";
    return 0;
  }
};

TEST_F(ReplicasTest, OneBearsTheNameSeveralAreNumbered) {
  apply(document(1, {deployment("web", 1, "img:1"), deployment("db", 2, "img:1")}));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").owner, "Deployment/web");
  EXPECT_EQ(workload("db-0").phase, Phase::Running);
  EXPECT_EQ(workload("db-1").phase, Phase::Running);
  const ControllerView view = controller("Deployment", "db");
  EXPECT_EQ(view.phase, "Available");
  EXPECT_EQ(view.wanted, 2u);
  EXPECT_EQ(view.ready, 2u);
  EXPECT_EQ(desired().state, "Applied");
}

TEST_F(ReplicasTest, APodThatMovesIntoADeploymentIsNotRestarted) {
  apply(document(1, {pod("web")}));
  const uint32_t before = pid("web");
  apply(document(2, {deployment("web", 1, "img:1")}));
  EXPECT_EQ(pid("web"), before);
}

TEST_F(ReplicasTest, WhatIsReadyCountsInWhicheverVersion) {
  apply(document(1, {deployment("web", 3, "img:1")}));
  runtime_.fail_next(runtime::FakeRuntime::Op::StartContainer, Error(Code::Internal, "no"), 1000,
                     "web-0");
  apply(document(2, {deployment("web", 3, "img:2")}));
  const ControllerView view = controller("Deployment", "web");
  EXPECT_EQ(view.ready, 2u);
  EXPECT_EQ(view.phase, "Progressing");
  EXPECT_EQ(view.updated, 0u);
}

TEST_F(ReplicasTest, ARollingUpdateKeepsAllButOneUp) {
  apply(document(1, {deployment("web", 3, "img:1")}));
  ASSERT_EQ(up("web", 3), 3u);
  publish(document(2, {deployment("web", 3, "img:2")}));
  EXPECT_EQ(fewest_while_spinning("web", 3), 2u);
  for (const char* name : {"web-0", "web-1", "web-2"}) EXPECT_EQ(image(name), "img:2") << name;
  EXPECT_EQ(controller("Deployment", "web").updated, 3u);
}

TEST_F(ReplicasTest, MaxUnavailableMayBeMore) {
  facts_.cpu_milli = 4000;  // two may be replaced at once
  fresh();
  apply(document(1, {deployment("web", 4, "img:1")}));
  publish(document(2, {deployment("web", 4, "img:2",
                                  "strategy: { rollingUpdate: { maxUnavailable: 50% } }, ")}));
  EXPECT_EQ(fewest_while_spinning("web", 4), 2u);
}

TEST_F(ReplicasTest, ABadVersionStopsTheRolloutAndTheOthersStay) {
  apply(document(1, {deployment("web", 3, "img:1")}));
  const uint32_t second = pid("web-1");
  runtime_.fail_next(runtime::FakeRuntime::Op::StartContainer,
                     Error(Code::Internal, "no", "RunContainerError"), 1000, "web-0");
  apply(document(2, {deployment("web", 3, "img:2")}));
  EXPECT_EQ(pid("web-1"), second);
  EXPECT_EQ(workload("web-1").reason, "WaitingForRollout");
  EXPECT_EQ(workload("web-1").phase, Phase::Running);
  const ControllerView view = controller("Deployment", "web");
  EXPECT_EQ(view.phase, "Progressing");
  EXPECT_EQ(view.reason, "RollingUpdate");
  EXPECT_NE(desired().state, "Applied");
  // A new life of the agent goes on where the old one was.
  fresh();
  spin();
  EXPECT_EQ(pid("web-1"), second);
}

TEST_F(ReplicasTest, RecreateStopsAllBeforeItStartsOne) {
  apply(document(1, {deployment("web", 2, "img:1", "strategy: { type: Recreate }, ")}));
  runtime_.clear_history();
  apply(document(2, {deployment("web", 2, "img:2", "strategy: { type: Recreate }, ")}));
  const auto history = runtime_.history();
  const auto is_start = [](const std::string& line) { return line.starts_with("start "); };
  const auto first = std::find_if(history.begin(), history.end(), is_start);
  ASSERT_NE(first, history.end());
  const auto stops = std::count_if(
      history.begin(), first, [](const std::string& line) { return line.starts_with("signal "); });
  EXPECT_EQ(stops, 2) << "both stop before either starts";
  EXPECT_EQ(image("web-0"), "img:2");
  EXPECT_EQ(image("web-1"), "img:2");
}

TEST_F(ReplicasTest, AStatefulSetStartsInOrderAndIsUpdatedFromItsEnd) {
  runtime_.fail_next(runtime::FakeRuntime::Op::StartContainer,
                     Error(Code::Internal, "no", "RunContainerError"), 1, "db-1");
  apply(document(1, {deployment("db", 3, "img:1", "", "StatefulSet")}));
  EXPECT_EQ(workload("db-0").phase, Phase::Running);
  EXPECT_EQ(workload("db-2").phase, Phase::Pending);
  EXPECT_EQ(workload("db-2").reason, "WaitingForPredecessor");
  advance(seconds(20));
  EXPECT_EQ(workload("db-2").phase, Phase::Running);
  runtime_.clear_history();
  apply(document(2, {deployment("db", 3, "img:2", "", "StatefulSet")}));
  std::vector<std::string> started;
  for (const std::string& line : runtime_.history()) {
    if (line.starts_with("start ")) started.push_back(line.substr(6, 4));
  }
  EXPECT_EQ(started, (std::vector<std::string>{"db-2", "db-1", "db-0"}));
}

TEST_F(ReplicasTest, MinReadySecondsHoldsTheNextOneBack) {
  const std::string slow = "minReadySeconds: 30, ";
  apply(document(1, {deployment("web", 2, "img:1", slow)}));
  advance(seconds(31));
  apply(document(2, {deployment("web", 2, "img:2", slow)}));
  EXPECT_EQ(image("web-0"), "img:2");
  EXPECT_EQ(workload("web-1").reason, "WaitingForRollout");
  const auto wake = reconciler_->wake_at();
  ASSERT_TRUE(wake);
  EXPECT_LE(*wake - clock_.now(), seconds(30));
  advance(seconds(31));
  EXPECT_EQ(workload("web-1").reason, "");
  EXPECT_EQ(controller("Deployment", "web").updated, 2u);
}

TEST_F(ReplicasTest, FewerReplicasRemoveTheHighestAndNoneRemoveAll) {
  apply(document(1, {deployment("web", 3, "img:1")}));
  const uint32_t first = pid("web-0");
  apply(document(2, {deployment("web", 2, "img:1")}));
  EXPECT_EQ(runtime_.prepared(), (std::set<std::string>{"web-0", "web-1"}));
  EXPECT_EQ(pid("web-0"), first);
  apply(document(3, {deployment("web", 0, "img:1")}));
  EXPECT_TRUE(runtime_.prepared().empty());
  EXPECT_EQ(controller("Deployment", "web").phase, "Available");
}

}  // namespace
}  // namespace wherry::test
