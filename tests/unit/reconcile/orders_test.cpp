// What a person orders about a workload: stop, start, restart.

#include <gmock/gmock.h>

#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"

namespace wherry::test {
namespace {

using testing::HasSubstr;
using Op = runtime::FakeRuntime::Op;

class OrdersTest : public BenchTest {
 protected:
  Status order(OrderKind kind, const std::string& name) {
    std::optional<Status> answer;
    mailbox_.post([&](Mail& mail) {
      mail.orders.push_back({{kind, name, "by a test"}, [&](const Status& got) { answer = got; }});
    });
    reconciler_->step();
    EXPECT_TRUE(answer);
    return answer.value_or(fail(Code::Internal, "no answer"));
  }
  // The fake's containers end at SIGTERM; what it takes until then passes here.
  Status ordered(OrderKind kind, const std::string& name) {
    Status taken = order(kind, name);
    spin();
    return taken;
  }
  bool is_stopped(const std::string& name) {
    const WorkloadView view = workload(name);
    return view.phase == Phase::Pending && view.reason == kStoppedReason;
  }
};

TEST_F(OrdersTest, AStopLastsUntilItIsStarted) {
  apply(document(1, {pod("web"), pod("other")}));
  const uint32_t other = pid("other");
  ASSERT_NE(other, 0u);
  ASSERT_TRUE(ordered(OrderKind::Stop, "web"));
  EXPECT_TRUE(is_stopped("web")) << workload("web").reason;
  EXPECT_THAT(workload("web").message, HasSubstr("by a test"));
  EXPECT_THAT(workload("web").message, HasSubstr("wherry start web"));
  EXPECT_EQ(desired().state, "Applied") << "it is as it should be";
  EXPECT_EQ(records_.events(kStoppedReason), 1u);
  // It was asked to end before it was removed.
  EXPECT_THAT(runtime_.history(), testing::Contains("signal web/app#0 15"));
  fresh();
  spin();
  EXPECT_TRUE(is_stopped("web")) << "also after a restart of the agent";
  apply(document(2, {pod("web", "img:1", ", priority: 0"), pod("other")}));
  apply(document(3, {pod("web"), pod("other")}));
  EXPECT_TRUE(is_stopped("web")) << "a newer document does not start it";
  ASSERT_TRUE(ordered(OrderKind::Start, "web"));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").containers[0].restarts, 0u);
  EXPECT_TRUE(records_.order_rows.empty());
  EXPECT_EQ(records_.events("StartedByOperator"), 1u);
  EXPECT_EQ(pid("other"), other);
}

// Its containers are gone, but not what else there is of it.
TEST_F(OrdersTest, WhatAKilledAgentWasRemovingIsRemovedByTheNext) {
  for (const OrderKind kind : {OrderKind::Stop, OrderKind::Restart}) {
    apply(document(1, {pod("web"), pod("other")}));
    EXPECT_EQ(workload("web").phase, Phase::Running);
    ASSERT_TRUE(order(kind, "web"));
    const auto pods = runtime_.observe();
    for (const runtime::PodStatus& each : *pods) {
      if (each.name != "web") continue;
      ASSERT_TRUE(runtime_.remove_container(each.containers.at(0).id));
    }
    runtime_.clear_history();
    fresh();
    spin();
    ASSERT_GE(runtime_.history().size(), 2u);
    EXPECT_EQ(runtime_.history()[0], "collect other,web");
    EXPECT_EQ(runtime_.history()[1], "remove-pod web");
    if (kind == OrderKind::Stop) {
      EXPECT_TRUE(is_stopped("web"));
      EXPECT_EQ(runtime_.history().size(), 2u);
      ASSERT_TRUE(ordered(OrderKind::Start, "web"));
    } else {
      EXPECT_EQ(workload("web").phase, Phase::Running);
    }
  }
}

TEST_F(OrdersTest, ARestartMakesThePodAnewOnce) {
  apply(document(1, {pod("web"), pod("other")}));
  const uint32_t other = pid("other");
  runtime_.exit_container("web", "app", 1);
  spin();
  advance(std::chrono::minutes(1));
  EXPECT_EQ(workload("web").containers[0].restarts, 1u);
  const uint32_t before = pid("web");
  runtime_.clear_history();
  ASSERT_TRUE(ordered(OrderKind::Restart, "web"));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_NE(pid("web"), before);
  EXPECT_EQ(workload("web").containers[0].restarts, 0u) << "it is no crash";
  EXPECT_THAT(runtime_.history(), testing::ElementsAre("signal web/app#1 15", "remove-pod web",
                                                       "prepare web", "start web/app#0"));
  EXPECT_TRUE(records_.order_rows.empty());
  EXPECT_EQ(records_.events(kRestartingReason), 1u);
  EXPECT_EQ(records_.events("BackOff"), 0u);
  fresh();
  spin();
  advance(std::chrono::minutes(10));
  const auto history = runtime_.history();
  EXPECT_EQ(std::count(history.begin(), history.end(), "start web/app#0"), 1) << "and not again";
  EXPECT_EQ(pid("other"), other);
}

TEST_F(OrdersTest, ARestartGoesOnInTheNextLifeOfTheAgentWhereverItWasCutOff) {
  // Each step of the work is a place to end.
  for (int steps = 0; steps < 8; ++steps) {
    apply(document(static_cast<uint64_t>(steps) + 1, {pod("web")}));
    const uint32_t before = pid("web");
    ASSERT_NE(before, 0u);
    runtime_.clear_history();
    ASSERT_TRUE(order(OrderKind::Restart, "web"));
    for (int i = 0; i < steps; ++i) {
      lanes_.run(Lane::Work);
      lanes_.run(Lane::Look);
      reconciler_->step();
    }
    fresh();
    spin();
    EXPECT_EQ(workload("web").phase, Phase::Running) << steps;
    EXPECT_NE(pid("web"), before) << steps;
    EXPECT_TRUE(records_.order_rows.empty()) << steps;
    const auto history = runtime_.history();
    EXPECT_EQ(std::count(history.begin(), history.end(), "start web/app#0"), 1) << steps;
  }
}

TEST_F(OrdersTest, ARestartAlsoStartsWhatWasStoppedOrHasEnded) {
  apply(document(1, {pod("web"), pod("once", "img:1", ", restartPolicy: Never")}));
  ASSERT_TRUE(ordered(OrderKind::Stop, "web"));
  ASSERT_TRUE(ordered(OrderKind::Restart, "web"));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  runtime_.exit_container("once", "app", 0);
  spin();
  EXPECT_EQ(workload("once").phase, Phase::Succeeded);
  ASSERT_TRUE(ordered(OrderKind::Start, "once"));
  EXPECT_EQ(workload("once").phase, Phase::Succeeded) << "it was not stopped";
  ASSERT_TRUE(ordered(OrderKind::Restart, "once"));
  EXPECT_EQ(workload("once").phase, Phase::Running);
}

TEST_F(OrdersTest, WhatIsNotWantedAnyMoreTakesItsOrderWithIt) {
  apply(document(1, {pod("web")}));
  ASSERT_TRUE(ordered(OrderKind::Stop, "web"));
  apply(document(2, {}));
  EXPECT_TRUE(records_.order_rows.empty());
  apply(document(3, {pod("web")}));
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

TEST_F(OrdersTest, WhatCannotBeOrderedSaysWhy) {
  apply(document(
      1, {pod("web"), deployment("many", 2, "img:1"),
          "{ apiVersion: batch/v1, kind: Job, metadata: { name: backup }, spec: { template: "
          "{ spec: { restartPolicy: Never, hostNetwork: true, containers: [{ name: app, "
          "image: \"img:1\" }] } } } }\n"}));
  const Status unknown = ordered(OrderKind::Stop, "nope");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), Code::NotFound);
  EXPECT_THAT(ordered(OrderKind::Stop, "many").error().full(),
              HasSubstr("Deployment/many has many-0, many-1"));
  std::string job;
  for (const WorkloadView& view : board_.get()->workloads) {
    if (view.owner == "Job/backup") job = view.name;
  }
  ASSERT_NE(job, "");
  const Status owned = ordered(OrderKind::Restart, job);
  ASSERT_FALSE(owned);
  EXPECT_EQ(owned.error().code(), Code::FailedPrecondition);
  EXPECT_THAT(owned.error().full(), HasSubstr("Job/backup"));
  const uint32_t before = pid("web");
  records_.works = false;
  for (const OrderKind kind : {OrderKind::Stop, OrderKind::Restart}) {
    const Status full = ordered(kind, "web");
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code(), Code::ResourceExhausted);
  }
  EXPECT_EQ(pid("web"), before) << "what is not on disk is not done";
}

TEST_F(OrdersTest, AFullDiskInTheMiddleOfARestartDoesNotKeepItDown) {
  apply(document(1, {pod("web")}));
  const uint32_t before = pid("web");
  ASSERT_TRUE(order(OrderKind::Restart, "web"));
  records_.works = false;
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_NE(pid("web"), before);
  EXPECT_EQ(records_.order_rows.size(), 1u);
  records_.works = true;
  advance(std::chrono::seconds(15));
  EXPECT_TRUE(records_.order_rows.empty());
}

TEST_F(OrdersTest, ARestartThatIsDoneIsNotDoneAgainByTheNextAgentAlsoOnAFullDisk) {
  apply(document(1, {pod("web")}));
  ASSERT_TRUE(order(OrderKind::Restart, "web"));
  records_.works = false;
  spin();
  const uint32_t made = pid("web");
  ASSERT_EQ(records_.order_rows.size(), 1u);
  for (int life = 0; life < 2; ++life) {
    fresh();
    spin();
    EXPECT_EQ(pid("web"), made);
  }
  records_.works = true;
  advance(std::chrono::seconds(15));
  EXPECT_TRUE(records_.order_rows.empty());
  // The next one is another.
  clock_.advance(std::chrono::seconds(1));
  ASSERT_TRUE(ordered(OrderKind::Restart, "web"));
  EXPECT_NE(pid("web"), made);
}

TEST_F(OrdersTest, ARestartPullsAsWhenThePodIsMade) {
  images_.publish("img:latest");
  apply(document(1, {pod("web", "img:latest")}));
  const size_t pulls = images_.pulls("img:latest");
  const uint32_t before = pid("web");
  ASSERT_TRUE(ordered(OrderKind::Restart, "web"));
  EXPECT_EQ(images_.pulls("img:latest"), pulls + 1);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_NE(pid("web"), before);
  // A new version is pulled once, before the old one stops.
  apply(document(2, {pod("web", "img:latest", ", securityContext: { runAsUser: 5 }")}));
  EXPECT_EQ(images_.pulls("img:latest"), pulls + 2);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  // Without its registry it comes up with what is there.
  images_.fail_pull(Error(Code::Unavailable, "no route").with_reason("RegistryUnavailable"), 100);
  ASSERT_TRUE(ordered(OrderKind::Restart, "web"));
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

TEST_F(OrdersTest, WhatCannotBeSetUpIsStoppedAtOnceAndStartedAtOnce) {
  apply(document(1, {pod("other")}));
  runtime_.fail_next(Op::PreparePod, Error(Code::NotFound, "no /srv", "FailedMount"), 5);
  apply(document(2, {pod("web"), pod("other")}));
  ASSERT_EQ(workload("web").reason, "FailedMount");
  for (int i = 0; i < 4; ++i) advance(std::chrono::minutes(5));
  ASSERT_EQ(workload("web").reason, "FailedMount");
  ASSERT_TRUE(ordered(OrderKind::Stop, "web"));
  EXPECT_TRUE(is_stopped("web")) << workload("web").reason;
  EXPECT_EQ(desired().state, "Applied");
  EXPECT_THAT(runtime_.prepared(), testing::ElementsAre("other"));
  ASSERT_TRUE(ordered(OrderKind::Start, "web"));
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

TEST_F(OrdersTest, ARemovalThatFailsIsTriedAgainAfterAPause) {
  apply(document(1, {pod("web")}));
  runtime_.fail_next(Op::RemovePod, Error(Code::Internal, "busy"), 1);
  apply(document(2, {}));
  EXPECT_EQ(workload("web").reason, "FailedToRemove");
  EXPECT_EQ(runtime_.count(Op::RemovePod), 1u);
  advance(std::chrono::seconds(15));
  EXPECT_EQ(runtime_.count(Op::RemovePod), 2u);
  EXPECT_TRUE(runtime_.prepared().empty());
}

TEST_F(OrdersTest, AStoppedReplicaHoldsNoneOfTheOthersBack) {
  images_.add("img:2");
  apply(document(1, {deployment("web", 2, "img:1"), deployment("one", 1, "img:1")}));
  ASSERT_TRUE(ordered(OrderKind::Stop, "web-0"));
  ASSERT_TRUE(ordered(OrderKind::Stop, "one"));
  for (int i = 0; i < 4; ++i) advance(std::chrono::seconds(1));  // a turn each
  EXPECT_EQ(desired().state, "Applied");
  EXPECT_EQ(controller("Deployment", "one").phase, "Available");
  EXPECT_EQ(controller("Deployment", "one").reason, kStoppedReason);
  EXPECT_THAT(controller("Deployment", "web").message, HasSubstr("1 of 2 Pods are stopped"));
  apply(document(2, {deployment("web", 2, "img:2"), deployment("one", 1, "img:1")}));
  EXPECT_EQ(workload("web-1").containers[0].image, "img:2");
  EXPECT_EQ(workload("web-1").phase, Phase::Running);
  EXPECT_TRUE(is_stopped("web-0"));
  EXPECT_EQ(desired().state, "Applied");
  ASSERT_TRUE(ordered(OrderKind::Start, "web-0"));
  EXPECT_EQ(workload("web-0").containers[0].image, "img:2");
  EXPECT_EQ(controller("Deployment", "web").ready, 2u);
  EXPECT_EQ(controller("Deployment", "web").reason, "");
}

TEST_F(OrdersTest, AStatefulSetGoesOnWithoutTheOneThatIsStopped) {
  runtime_.fail_next(Op::StartContainer, Error(Code::Internal, "no", "RunContainerError"), 1000,
                     "db-0");
  apply(document(1, {deployment("db", 2, "img:1", "", "StatefulSet")}));
  EXPECT_EQ(workload("db-1").reason, "WaitingForPredecessor");
  ASSERT_TRUE(ordered(OrderKind::Stop, "db-0"));
  EXPECT_EQ(workload("db-1").phase, Phase::Running);
}

TEST_F(OrdersTest, WhileContainerdIsAwayNothingIsTakenForGone) {
  apply(document(1, {pod("web")}));
  const uint32_t before = pid("web");
  runtime_.disconnect();
  spin();
  ASSERT_TRUE(ordered(OrderKind::Restart, "web"));
  EXPECT_EQ(records_.order_rows.size(), 1u);
  runtime_.connect();
  advance(std::chrono::seconds(30));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_NE(pid("web"), before);
}

}  // namespace
}  // namespace wherry::test
