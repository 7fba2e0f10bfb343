// The reconciler as a whole, on a container stack in memory.

#include <csignal>

#include "tests/unit/reconcile/bench.h"

namespace wherry::test {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Op = runtime::FakeRuntime::Op;

class ReconcilerTest : public BenchTest {};

TEST_F(ReconcilerTest, ADocumentBecomesARunningContainerAndIsReported) {
  apply(document(1, {pod("web")}));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_TRUE(workload("web").ready);
  EXPECT_EQ(workload("web").revision, 1u);
  EXPECT_EQ(desired().state, "Applied");
  EXPECT_EQ(runtime_.history(),
            (std::vector<std::string>{"collect ", "prepare web", "start web/app#0"}));
  advance(seconds(1));
  ASSERT_FALSE(published_.empty());
  EXPECT_NE(published_.back().find(R"("phase":"Running")"), std::string::npos);
  EXPECT_EQ(records_.events("Started"), 1u);
}

TEST_F(ReconcilerTest, TheSameDocumentAgainCostsNoCallAndNoWrite) {
  const std::string same = document(1, {pod("web")});
  apply(same);
  advance(seconds(2));
  const size_t calls_before = calls();
  const size_t writes = records_.writes;
  const size_t published = published_.size();
  apply(same);
  advance(seconds(2));
  EXPECT_EQ(calls(), calls_before);
  EXPECT_EQ(records_.writes, writes);
  EXPECT_EQ(published_.size(), published);
}

TEST_F(ReconcilerTest, NothingHappensWhileNothingHappens) {
  apply(document(1, {pod("web")}));
  advance(seconds(2));
  const size_t writes = records_.writes;
  const size_t published = published_.size();
  const auto wake = reconciler_->wake_at();
  ASSERT_TRUE(wake);
  EXPECT_GE(*wake - clock_.now(), minutes(4)) << "it would wake up for nothing";
  const size_t looks = runtime_.count(Op::Observe);
  advance(minutes(5));
  EXPECT_EQ(runtime_.count(Op::Observe), looks + 1) << "a look in case an event was lost";
  EXPECT_EQ(records_.writes, writes);
  EXPECT_EQ(published_.size(), published);
}

TEST_F(ReconcilerTest, ALostEventIsFoundByTheSlowLook) {
  apply(document(1, {pod("web")}));
  (void)mailbox_.take();
  runtime_.exit_container("web", "app", 1);
  (void)mailbox_.take();  // the event is lost
  advance(minutes(5));
  EXPECT_EQ(workload("web").containers[0].restarts, 1u);
}

TEST_F(ReconcilerTest, NoItemsRemoveEverything) {
  apply(document(1, {pod("web"), pod("db")}));
  apply(document(2, {}));
  EXPECT_TRUE(board_.get()->workloads.empty());
  EXPECT_TRUE(runtime_.prepared().empty());
  EXPECT_TRUE(records_.histories.empty());
  EXPECT_EQ(desired().state, "Applied");
}

TEST_F(ReconcilerTest, ANewLifeAdoptsWhatRuns) {
  apply(document(1, {pod("web"), pod("db")}));
  const uint32_t before = pid("web");
  runtime_.clear_history();
  fresh();
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(pid("web"), before);
  EXPECT_EQ(desired().state, "Applied");
  EXPECT_TRUE(board_.get()->first_pass_done);
  EXPECT_EQ(runtime_.history(), std::vector<std::string>{"collect db,web"});
}

TEST_F(ReconcilerTest, ANewLifeKnowsSinceWhenEverythingIsAsItIs) {
  apply(document(1, {pod("web")}));
  const WallTime started = workload("web").containers.at(0).started_at;
  ASSERT_NE(started, WallTime{});
  clock_.advance(std::chrono::hours(3));
  board_.set(std::make_shared<const StateView>());
  fresh();
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").since, started);
}

TEST_F(ReconcilerTest, OnlyWhatChangedIsReplaced) {
  apply(document(1, {pod("web"), pod("db")}));
  const uint32_t web = pid("web");
  const uint32_t db = pid("db");
  images_.add("img:2");
  apply(document(2, {pod("web", "img:2"), pod("db")}));
  EXPECT_NE(pid("web"), web);
  EXPECT_EQ(pid("db"), db);
  EXPECT_EQ(workload("db").revision, 2u) << "it is of the newer document all the same";
}

TEST_F(ReconcilerTest, ATagThatMovesReplacesAndARemovedImageDoesNot) {
  apply(document(1, {pod("web")}));
  const uint32_t before = pid("web");
  ASSERT_TRUE(images_.remove("img:1"));
  mailbox_.post_event({runtime::Event::Kind::ImagesChanged, "", "", ""});
  spin();
  EXPECT_EQ(pid("web"), before);
  images_.add("img:1", "other content");
  mailbox_.post_event({runtime::Event::Kind::ImagesChanged, "", "", ""});
  spin();
  EXPECT_NE(pid("web"), before);
}

TEST_F(ReconcilerTest, ACrashLoopBacksOffAndRecovers) {
  apply(document(1, {pod("web")}));
  runtime_.exit_container("web", "app", 3);
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running) << "the first restart is immediate";
  EXPECT_EQ(workload("web").containers[0].restarts, 1u);
  runtime_.exit_container("web", "app", 3);
  spin();
  EXPECT_EQ(workload("web").phase, Phase::BackOff);
  EXPECT_EQ(workload("web").reason, "CrashLoopBackOff");
  EXPECT_EQ(workload("web").containers[0].reason, "CrashLoopBackOff");
  EXPECT_EQ(workload("web").containers[0].exit_code, 3);
  EXPECT_EQ(desired().state, "Failed");
  advance(seconds(10));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").containers[0].restarts, 2u);
  advance(minutes(11));
  runtime_.exit_container("web", "app", 3);
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running) << "it had recovered";
}

TEST_F(ReconcilerTest, CountersSurviveTheAgent) {
  apply(document(1, {pod("web")}));
  for (int i = 0; i < 3; ++i) {
    runtime_.exit_container("web", "app", 1);
    spin();
    advance(minutes(5));
  }
  EXPECT_EQ(workload("web").containers[0].restarts, 3u);
  runtime_.exit_container("web", "app", 1);
  fresh();  // it died while the agent was away
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running) << "one attempt at once";
  EXPECT_EQ(workload("web").containers[0].restarts, 4u);
  runtime_.exit_container("web", "app", 1);
  spin();
  EXPECT_EQ(workload("web").phase, Phase::BackOff);
}

TEST_F(ReconcilerTest, ARunOnceWorkloadStaysWhatItBecame) {
  apply(document(1, {pod("good", "img:1", ", restartPolicy: Never"),
                     pod("bad", "img:1", ", restartPolicy: Never")}));
  runtime_.exit_container("good", "app", 0);
  runtime_.exit_container("bad", "app", 9);
  spin();
  for (int life = 0; life < 3; ++life) {
    EXPECT_EQ(workload("good").phase, Phase::Succeeded);
    EXPECT_EQ(workload("good").containers[0].reason, "Completed");
    EXPECT_EQ(workload("bad").phase, Phase::Failed);
    EXPECT_EQ(workload("bad").containers[0].exit_code, 9);
    EXPECT_EQ(workload("bad").containers[0].restarts, 0u);
    if (life == 1) runtime_.reboot();
    fresh();
    spin();
  }
}

TEST_F(ReconcilerTest, AMemoryKillSaysSo) {
  apply(document(1, {pod("web", "img:1", ", restartPolicy: Never")}));
  runtime_.exit_container("web", "app", 137, true);
  spin();
  EXPECT_EQ(workload("web").reason, "OOMKilled");
  EXPECT_EQ(workload("web").containers[0].reason, "OOMKilled");
  EXPECT_NE(workload("web").message.find("memory"), std::string::npos);
  EXPECT_EQ(records_.events("OOMKilled"), 1u);
}

TEST_F(ReconcilerTest, WhatIgnoresTermIsKilledAfterItsGrace) {
  apply(document(1, {pod("web", "img:1", ", terminationGracePeriodSeconds: 5")}));
  runtime_.ignore_signals("web", "app");
  apply(document(2, {}));
  EXPECT_EQ(workload("web").phase, Phase::Stopping);
  EXPECT_EQ(runtime_.history().back(), "signal web/app#0 " + std::to_string(SIGTERM));
  advance(seconds(4));
  EXPECT_EQ(workload("web").phase, Phase::Stopping);
  advance(seconds(1));
  EXPECT_TRUE(board_.get()->workloads.empty());
}

TEST_F(ReconcilerTest, ANewerDocumentSupersedesOneThatIsStillApplied) {
  images_.publish("slow:1");
  images_.hang_pull("slow:1");
  publish(document(1, {pod("web", "slow:1")}));
  spin(false);  // the download is under way
  EXPECT_EQ(workload("web").phase, Phase::Pulling);
  EXPECT_EQ(desired().state, "Applying");
  publish(document(2, {pod("web")}));
  spin(false);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(desired().state, "Applied");
  spin();  // the job of the first begins now, and sees that it is not wanted any more
  EXPECT_EQ(images_.pulls("slow:1"), 0u);
}

TEST_F(ReconcilerTest, AnImageThatCannotBeHadIsTriedAgainAndTakenWhenImported) {
  apply(document(1, {pod("web", "gone:1")}));
  EXPECT_EQ(workload("web").reason, "ErrImagePull");
  EXPECT_EQ(workload("web").phase, Phase::BackOff);
  EXPECT_EQ(desired().state, "Failed");
  EXPECT_EQ(images_.pulls("gone:1"), 1u);
  advance(seconds(10));
  EXPECT_EQ(images_.pulls("gone:1"), 2u);
  EXPECT_EQ(workload("web").reason, "ImagePullBackOff");
  images_.add("gone:1");
  mailbox_.post_event({runtime::Event::Kind::ImagesChanged, "", "", ""});
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running) << "at once, not after the pause";
}

std::string private_pod(const std::string& name) {
  return "{ apiVersion: v1, kind: Pod, metadata: { name: " + name +
         " }, spec: { hostNetwork: true, imagePullSecrets: [{ name: login }], containers: [{ name: "
         "app, image: \"private:1\" }] } }\n";
}
std::string login(const std::string& password) {
  return "{ apiVersion: v1, kind: Secret, type: kubernetes.io/dockerconfigjson, metadata: { name: "
         "login }, stringData: { .dockerconfigjson: '{\"auths\":{\"r.local\":{\"username\":\"me\","
         "\"password\":\"" +
         password + "\"}}}' } }\n";
}

TEST_F(ReconcilerTest, CredentialsThatComeLaterAreTriedAtOnceAndRestartNothing) {
  apply(document(1, {private_pod("a")}));
  EXPECT_EQ(images_.pulls("private:1"), 1u);
  EXPECT_EQ(workload("a").phase, Phase::BackOff);
  ASSERT_EQ(desired().warnings.size(), 1u);
  EXPECT_EQ(desired().warnings[0].message,
            "Secret \"login\" is not there: images are pulled without it");
  images_.publish("private:1");
  apply(document(2, {private_pod("a"), private_pod("b"), login("hunter2")}));
  EXPECT_EQ(images_.pulls("private:1"), 2u) << "at once, not after the pause";
  const auto handed = images_.credentials("private:1");
  ASSERT_EQ(handed.size(), 1u) << "the same of two workloads";
  EXPECT_EQ(handed[0].password, "hunter2");
  EXPECT_EQ(workload("a").phase, Phase::Running);
  EXPECT_TRUE(desired().warnings.empty());
  advance(seconds(2));
  const auto history = runtime_.history();
  apply(document(3, {private_pod("a"), private_pod("b"), login("changed")}));
  advance(seconds(2));
  EXPECT_EQ(runtime_.history(), history) << "credentials decide no restart";
  EXPECT_EQ(workload("a").revision, 3u);
  for (const std::string& text : published_) {
    EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
  }
}

TEST_F(ReconcilerTest, APullThatFailsWithOldCredentialsIsTriedAgainWithTheNewAtOnce) {
  images_.hang_pull("private:1");
  publish(document(1, {private_pod("a"), login("old")}));
  spin(false);
  publish(document(2, {private_pod("a"), login("new")}));
  spin(false);
  images_.release_pulls();
  images_.fail_pull(Error(Code::PermissionDenied, "refused", "ErrImagePull"));
  images_.publish("private:1");
  spin();
  EXPECT_EQ(images_.pulls("private:1"), 2u);
  EXPECT_EQ(images_.credentials("private:1").at(0).password, "new");
  EXPECT_EQ(workload("a").phase, Phase::Running);
}

TEST_F(ReconcilerTest, TwoWorkloadsShareOneDownload) {
  images_.publish("big:1");
  apply(document(1, {pod("a", "big:1"), pod("b", "big:1")}));
  EXPECT_EQ(workload("a").phase, Phase::Running);
  EXPECT_EQ(workload("b").phase, Phase::Running);
  EXPECT_EQ(images_.pulls("big:1"), 1u);
}

constexpr const char* kAlwaysPulled =
    "{ apiVersion: v1, kind: Pod, metadata: { name: web }, spec: { hostNetwork: true, containers: "
    "[{ name: app, image: \"img:1\", imagePullPolicy: Always }] } }\n";

TEST_F(ReconcilerTest, AnUnreachableRegistryDoesNotKeepAPresentImageFromRunning) {
  images_.fail_pull(Error(Code::Unavailable, "cannot connect", "RegistryUnavailable"), 100);
  apply(document(1, {kAlwaysPulled}));
  EXPECT_EQ(images_.pulls("img:1"), 1u);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(records_.events("RegistryUnavailable"), 1u) << "and it is said";
  runtime_.reboot();
  fresh();
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(images_.pulls("img:1"), 1u) << "a reboot pulls nothing";
}

TEST_F(ReconcilerTest, ARegistryThatRefusesKeepsAPodWithAlwaysFromStartingAndIsAskedAgain) {
  images_.fail_pull(Error(Code::PermissionDenied, "access is denied to us", "ErrImagePull"), 1);
  images_.fail_pull(Error(Code::Unavailable, "the connection broke off", "ErrImagePull"), 1);
  apply(document(1, {kAlwaysPulled}));
  EXPECT_EQ(workload("web").phase, Phase::BackOff);
  EXPECT_EQ(workload("web").reason, "ErrImagePull");
  advance(seconds(12));
  EXPECT_EQ(images_.pulls("img:1"), 2u);
  EXPECT_EQ(workload("web").reason, "ImagePullBackOff");
  images_.publish("img:1");
  advance(seconds(30));
  EXPECT_EQ(images_.pulls("img:1"), 3u);
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

TEST_F(ReconcilerTest, ARebootStartsAnewWithoutCounting) {
  apply(document(1, {pod("base"), dependent("web", "base")}));
  runtime_.exit_container("web", "app", 1);
  spin();
  runtime_.reboot();
  runtime_.clear_history();
  fresh();
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").containers[0].restarts, 1u);
  EXPECT_EQ(workload("base").containers[0].restarts, 0u);
  EXPECT_EQ(runtime_.history(),
            (std::vector<std::string>{"collect base,web", "prepare base", "start base/app#0",
                                      "prepare web", "start web/app#1"}));
}

TEST_F(ReconcilerTest, ReportsAreGatheredForASecond) {
  advance(seconds(2));
  published_.clear();
  publish(document(1, {pod("a")}));
  reconciler_->step();
  EXPECT_EQ(published_.size(), 1u) << "the first change goes up at once";
  spin();
  EXPECT_EQ(published_.size(), 1u);
  EXPECT_EQ(workload("a").phase, Phase::Running) << "this machine sees it at once";
  const auto wake = reconciler_->wake_at();
  ASSERT_TRUE(wake);
  EXPECT_LE(*wake - clock_.now(), seconds(1));
  advance(seconds(1));
  EXPECT_EQ(published_.size(), 2u);
  advance(seconds(1));
  EXPECT_EQ(published_.size(), 2u);
}

TEST_F(ReconcilerTest, ADependentStartsAfterAndStopsBefore) {
  apply(document(1, {dependent("a-front", "z-back"), pod("z-back")}));
  runtime_.clear_history();
  apply(document(2, {}));
  const auto history = runtime_.history();
  const auto at = [&](const std::string& line) {
    return std::find(history.begin(), history.end(), line) - history.begin();
  };
  EXPECT_LT(at("remove-pod a-front"), at("remove-pod z-back"));
  EXPECT_LT(at("signal a-front/app#0 15"), at("signal z-back/app#0 15"));
  EXPECT_GT(at("signal z-back/app#0 15"), 0);
}

}  // namespace
}  // namespace wherry::test
