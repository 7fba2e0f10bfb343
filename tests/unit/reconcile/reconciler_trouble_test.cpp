// The reconciler when something around it fails: containerd, a start, the disk, the store.

#include <csignal>

#include "tests/unit/reconcile/bench.h"

namespace wherry::test {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Op = runtime::FakeRuntime::Op;

class ReconcilerTroubleTest : public BenchTest {};

TEST_F(ReconcilerTroubleTest, WhatACrashLeftBehindIsCollectedBeforeAnythingStarts) {
  apply(document(1, {pod("web")}));
  runtime_.leave_behind("ghost");
  fresh();
  spin();
  EXPECT_EQ(runtime_.prepared(), std::set<std::string>{"web"});
}

TEST_F(ReconcilerTroubleTest, AStoppedContainerdIsSaidAndNothingIsRestarted) {
  apply(document(1, {pod("web")}));
  const uint32_t before = pid("web");
  runtime_.disconnect("containerd is not reachable at /x");
  spin();
  EXPECT_FALSE(condition("ContainerdReady").status);
  EXPECT_EQ(condition("ContainerdReady").reason, "ContainerdUnavailable");
  EXPECT_EQ(condition("ContainerdReady").message,
            "containerd is not reachable at /x; running containers go on; check systemctl status "
            "containerd");
  EXPECT_EQ(workload("web").phase, Phase::Running);
  apply(document(2, {pod("web"), pod("new")}));
  EXPECT_EQ(desired().revision, 2u) << "documents are accepted all the same";
  EXPECT_EQ(workload("new").phase, Phase::Pending);
  EXPECT_EQ(workload("new").reason, "ContainerdUnavailable");
  runtime_.connect();
  spin();
  EXPECT_TRUE(condition("ContainerdReady").status);
  EXPECT_EQ(pid("web"), before);
  EXPECT_EQ(workload("new").phase, Phase::Running);
}

TEST_F(ReconcilerTroubleTest, AContainerWhoseStateIsNotToBeHadIsAskedForAgainSoon) {
  apply(document(1, {pod("web")}));
  const uint32_t before = pid("web");
  runtime_.silence("web", true);
  fresh();
  spin();
  EXPECT_EQ(workload("web").containers.at(0).state, "waiting");
  runtime_.silence("web", false);
  advance(seconds(5));
  EXPECT_EQ(workload("web").containers.at(0).state, "running");
  EXPECT_EQ(pid("web"), before);
  // Where it lasts, ever more seldom.
  runtime_.silence("web", true);
  advance(minutes(5));
  const size_t looks = calls();
  for (int i = 0; i < 600; ++i) advance(seconds(1));
  EXPECT_GT(calls(), looks + 3);
  EXPECT_LT(calls(), looks + 20);
}

TEST_F(ReconcilerTroubleTest, CertificatesAndAWrongClockStopNoWorkload) {
  apply(document(1, {pod("web")}));
  const uint32_t before = pid("web");
  const auto tell = [&](std::optional<CertificateStatus> certificate) {
    LinkStatus link;
    link.reason = "BrokerCertificateNotYetValid";
    link.certificate = std::move(certificate);
    mailbox_.post([&](Mail& mail) { mail.link = link; });
    spin();
  };
  tell(CertificateStatus{true, "CertificateExpiring", "renew it"});
  EXPECT_TRUE(condition("CertificateValid").status);
  EXPECT_EQ(condition("CertificateValid").reason, "CertificateExpiring");
  clock_.set_wall({});  // 1970
  tell(CertificateStatus{false, "CertificateNotYetValid", "set the clock"});
  EXPECT_FALSE(condition("CertificateValid").status);
  EXPECT_EQ(condition("CertificateValid").message, "set the clock");
  EXPECT_EQ(condition("BrokerConnected").reason, "BrokerCertificateNotYetValid");
  runtime_.exit_container("web", "app", 1);
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_NE(pid("web"), before);
  tell(std::nullopt);
  EXPECT_EQ(board_.get()->conditions.size(), 3u) << "no certificates, no condition";
}

TEST_F(ReconcilerTroubleTest, ContainerdGoneInTheMiddleOfAnActionCostsNoBackoff) {
  runtime_.fail_next(Op::StartContainer, Error(Code::Unavailable, "connection reset"));
  apply(document(1, {pod("web")}));
  EXPECT_FALSE(condition("ContainerdReady").status);
  advance(seconds(1));
  EXPECT_TRUE(condition("ContainerdReady").status);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").containers[0].restarts, 0u);
}

TEST_F(ReconcilerTroubleTest, AContainerThatDiedMeanwhileIsStartedWhenContainerdIsBack) {
  apply(document(1, {pod("web")}));
  runtime_.disconnect();
  spin();
  runtime_.exit_container("web", "app", 1);
  runtime_.connect();
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").containers[0].restarts, 1u);
}

TEST_F(ReconcilerTroubleTest, AFailedStartSaysWhyAndIsTriedAgain) {
  runtime_.fail_next(Op::StartContainer,
                     Error(Code::InvalidArgument, "exec: no such file", "RunContainerError"));
  apply(document(1, {pod("web")}));
  EXPECT_EQ(workload("web").phase, Phase::BackOff);
  EXPECT_EQ(workload("web").reason, "RunContainerError");
  EXPECT_NE(workload("web").message.find("no such file"), std::string::npos);
  EXPECT_EQ(workload("web").containers[0].reason, "RunContainerError");
  advance(seconds(10));
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

TEST_F(ReconcilerTroubleTest, HungActionsOfSomeDoNotHoldUpOthers) {
  apply(document(1, {pod("z")}));
  publish(document(2, {pod("a"), pod("b"), pod("c"), pod("d"), pod("z")}));
  reconciler_->step();
  ASSERT_EQ(lanes_.waiting(Lane::Work), 4u);  // none of them ever ends
  runtime_.exit_container("z", "app", 1);
  reconciler_->step();
  lanes_.run(Lane::Look);
  reconciler_->step();
  EXPECT_EQ(lanes_.waiting(Lane::Work), 4u) << "no more than four at once";
  const auto wake = reconciler_->wake_at();
  ASSERT_TRUE(wake);
  EXPECT_LE(*wake - clock_.now(), seconds(10));
  clock_.advance(seconds(10));
  reconciler_->step();
  EXPECT_EQ(lanes_.waiting(Lane::Work), 5u);
  lanes_.run(Lane::Work);
  spin();
  EXPECT_EQ(workload("z").containers[0].restarts, 1u);
}

TEST_F(ReconcilerTroubleTest, ADownloadHoldsUpNobodysSupervision) {
  images_.publish("slow:1");
  apply(document(1, {pod("web")}));
  publish(document(2, {pod("web"), pod("slow", "slow:1")}));
  spin(false);
  runtime_.exit_container("web", "app", 1);
  spin(false);
  EXPECT_EQ(workload("web").containers[0].restarts, 1u);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("slow").phase, Phase::Pulling);
}

TEST_F(ReconcilerTroubleTest, ALookThatBeganBeforeAnActionSaysNothingAboutIt) {
  apply(document(1, {pod("other")}));
  mailbox_.post_event({runtime::Event::Kind::Connected, "", "", ""});
  reconciler_->step();  // a look is asked for …
  publish(document(2, {pod("other"), pod("web")}));
  reconciler_->step();
  lanes_.run(Lane::Look);  // … sees no web …
  lanes_.run(Lane::Work);
  reconciler_->step();
  lanes_.run(Lane::Work);  // … which is started before its answer is read
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  size_t starts = 0;
  for (const std::string& line : runtime_.history()) starts += line == "start web/app#0" ? 1 : 0;
  EXPECT_EQ(starts, 1u);
}

// The work lane is faster than the look: what is planned meanwhile is not to be done again.
TEST_F(ReconcilerTroubleTest, ANetworkThatIsGoneIsMadeAnewOnce) {
  apply(document(1, {"{ apiVersion: v1, kind: Pod, metadata: { name: web }, spec: { containers: ["
                     "{ name: app, image: \"img:1\" }, { name: side, image: \"img:1\" }] } }\n"}));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  runtime_.lose_network("web");
  ASSERT_TRUE(runtime_.exit_container("web", "side", 1));
  spin();
  clock_.advance(std::chrono::seconds(15));
  for (int step = 0; step < 10; ++step) {
    reconciler_->step();
    lanes_.run(Lane::Work);
  }
  advance(std::chrono::seconds(1));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_TRUE(workload("web").ready);
  EXPECT_EQ(runtime_.count(Op::RemoveContainer), 1u);
  EXPECT_EQ(records_.events("SandboxChanged"), 1u);
}

TEST_F(ReconcilerTroubleTest, AFullDiskIsACondition) {
  apply(document(1, {pod("web")}));
  EXPECT_TRUE(condition("StoreReady").status);
  records_.works = false;
  apply(document(2, {pod("web"), pod("more")}));
  EXPECT_FALSE(condition("StoreReady").status);
  EXPECT_EQ(desired().revision, 1u);
  EXPECT_TRUE(desired().rejected);
  records_.works = true;
  advance(seconds(10));
  EXPECT_TRUE(condition("StoreReady").status);
  EXPECT_EQ(desired().revision, 2u);
  EXPECT_EQ(workload("more").phase, Phase::Running);
}

TEST_F(ReconcilerTroubleTest, ADamagedStoreRemovesNothing) {
  apply(document(1, {pod("web")}));
  const uint32_t before = pid("web");
  records_.stored.clear();
  records_.histories.clear();
  fresh();
  spin();
  EXPECT_EQ(workload("web").reason, "DesiredStateUnknown");
  apply(document(1, {pod("web")}));
  EXPECT_EQ(pid("web"), before);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_TRUE(workload("web").reason.empty());
}

}  // namespace
}  // namespace wherry::test
