// What probes and hooks come to: restarts, readiness, order, and ends that are bounded.

#include <gmock/gmock.h>

#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"

namespace wherry::test {
namespace {

using runtime::ProbeNews;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Remembers what it was asked; the test answers.
class SilentHealth final : public runtime::Health {
 public:
  void listen(Sink) override {}
  void watch(std::vector<runtime::ProbeTarget> targets) override {
    targets_ = std::move(targets);
    ++watched;
  }
  void run(runtime::HookRequest hook) override { hooks.push_back(std::move(hook)); }

  std::vector<std::string> probed() const {
    std::vector<std::string> ids;
    for (const auto& target : targets_) ids.push_back(target.container_id);
    return ids;
  }
  const runtime::ProbeTarget& target() const { return targets_.at(0); }
  std::vector<runtime::HookRequest> hooks;
  int watched = 0;

 private:
  std::vector<runtime::ProbeTarget> targets_;
};

constexpr const char* kReadiness = "readinessProbe: { tcpSocket: { port: 80 } }";
constexpr const char* kLiveness =
    "livenessProbe: { tcpSocket: { port: 80 }, terminationGracePeriodSeconds: 5 }";

class HealthBench : public BenchTest {
 protected:
  HealthBench() { new_life(); }

  void new_life() {
    health_ = &fake_;
    fresh();
    spin();
  }
  static std::string probed_pod(const std::string& fields, const std::string& metadata = "") {
    return "{ apiVersion: v1, kind: Pod, metadata: { name: web" + metadata +
           " }, spec: { hostNetwork: true, containers: [{ name: app, image: \"img:1\", " + fields +
           " }] } }\n";
  }
  void tell(ProbeNews::Kind kind, const std::string& message = "", uint32_t attempt = 0,
            const std::string& name = "web") {
    const std::string id = name + "-app-" + std::to_string(attempt);
    mailbox_.post([&](Mail& mail) { mail.probed.push_back({id, name, "app", kind, message}); });
    spin();
  }
  void answer(size_t index, Status status = {}) {
    mailbox_.post([&](Mail& mail) { mail.hooked.push_back({fake_.hooks.at(index), status}); });
    spin();
  }

  SilentHealth fake_;
};

TEST_F(HealthBench, ASecretInWhatAProbeSaysIsStruckOut) {
  const auto secret = [](const std::string& value) {
    return "{ apiVersion: v1, kind: Secret, metadata: { name: s }, stringData: { key: " + value +
           " } }\n";
  };
  apply(document(1, {probed_pod(kReadiness), secret("hunter2-hunter2")}));
  apply(document(2, {probed_pod(kReadiness), secret("other-value")}));
  // It may have been started with the old one.
  tell(ProbeNews::Kind::NotReady, "exit code 1: hunter2-hunter2 is wrong, and other-value");
  EXPECT_THAT(workload("web").message,
              HasSubstr("exit code 1: (left out) is wrong, and (left out)"));
}

TEST_F(HealthBench, ReadinessDecidesReadyAndHoldsDependentsBack) {
  apply(document(1, {probed_pod(kReadiness), dependent("client", "web")}));
  EXPECT_THAT(fake_.probed(), ElementsAre("web-app-0"));
  EXPECT_EQ(fake_.target().address, "127.0.0.1");
  EXPECT_FALSE(fake_.target().adopted);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_FALSE(workload("web").ready);
  EXPECT_FALSE(workload("web").containers.at(0).ready);
  EXPECT_EQ(workload("web").reason, "ContainersNotReady");
  EXPECT_EQ(workload("client").reason, "DependencyNotReady");
  EXPECT_EQ(desired().state, "Applying");
  tell(ProbeNews::Kind::NotReady, "HTTP status 503");
  EXPECT_THAT(workload("web").message, HasSubstr("HTTP status 503"));
  tell(ProbeNews::Kind::Ready);
  EXPECT_TRUE(workload("web").ready);
  EXPECT_TRUE(workload("client").ready);
  EXPECT_EQ(desired().state, "Applied");
  tell(ProbeNews::Kind::NotReady, "refused");
  EXPECT_FALSE(workload("web").ready);
  EXPECT_TRUE(workload("client").ready) << "what runs goes on";
  EXPECT_EQ(records_.events("Unhealthy"), 1U);
  tell(ProbeNews::Kind::Ready, "", 7);
  EXPECT_FALSE(workload("web").ready) << "that was another container";
}

TEST_F(HealthBench, ThePreviousVersionIsShownAsReadyOnlyWhileItIs) {
  apply(document(1, {probed_pod(kReadiness)}));
  tell(ProbeNews::Kind::NotReady, "HTTP status 503");
  std::string next = probed_pod(kReadiness);
  next.replace(next.find("img:1"), 5, "img:2");
  publish(document(2, {next}));
  spin(false);  // its image is not there
  ASSERT_EQ(workload("web").containers.at(0).state, "running");
  EXPECT_FALSE(workload("web").ready);
  EXPECT_FALSE(workload("web").containers.at(0).ready);
  tell(ProbeNews::Kind::Ready);
  EXPECT_TRUE(workload("web").containers.at(0).ready);
}

TEST_F(HealthBench, AFailedLivenessProbeEndsTheContainerAndItsEndIsAnEnd) {
  apply(document(1, {probed_pod(kLiveness)}));
  EXPECT_TRUE(workload("web").ready);
  runtime_.clear_history();
  tell(ProbeNews::Kind::LivenessFailed, "refused");
  EXPECT_THAT(runtime_.history(),
              ElementsAre("signal web/app#0 15", "prepare web", "start web/app#1"));
  EXPECT_TRUE(workload("web").ready);
  EXPECT_EQ(workload("web").containers.at(0).restarts, 1U);
  EXPECT_THAT(fake_.probed(), ElementsAre("web-app-1"));
  EXPECT_GE(records_.events("LivenessProbeFailed"), 1U);
  tell(ProbeNews::Kind::LivenessFailed, "refused", 1);
  EXPECT_EQ(workload("web").phase, Phase::BackOff) << "backs off like a crash";
  EXPECT_EQ(workload("web").reason, "CrashLoopBackOff");
}

TEST_F(HealthBench, WhatIgnoresSigtermIsKilledAfterTheProbesOwnGrace) {
  runtime_.ignore_signals("web", "app");
  apply(document(1, {probed_pod(kLiveness)}));
  runtime_.clear_history();
  tell(ProbeNews::Kind::LivenessFailed, "refused");
  EXPECT_FALSE(workload("web").ready);
  EXPECT_EQ(workload("web").reason, "LivenessProbeFailed");
  EXPECT_THAT(fake_.probed(), IsEmpty());
  advance(seconds(4));
  EXPECT_THAT(runtime_.history(), ElementsAre("signal web/app#0 15"));
  advance(seconds(1));
  EXPECT_THAT(runtime_.history(), ElementsAre("signal web/app#0 15", "signal web/app#0 9",
                                              "prepare web", "start web/app#1"));
}

TEST_F(HealthBench, WithRestartPolicyNeverItIsTheEnd) {
  apply(document(1, {owner("Job", "work",
                           "backoffLimit: 0, template: { spec: { restartPolicy: Never, "
                           "hostNetwork: true, containers: [{ name: app, image: \"img:1\", " +
                               std::string(kLiveness) + " }] } }")}));
  tell(ProbeNews::Kind::LivenessFailed, "refused", 0, "work");
  EXPECT_EQ(controller("Job", "work").phase, "Failed");
  EXPECT_EQ(workload("work").containers.at(0).reason, "LivenessProbeFailed");
  EXPECT_THAT(workload("work").containers.at(0).message, HasSubstr("refused"));
}

TEST_F(HealthBench, ANewLifeAsksAgainAndRestartsNothing) {
  apply(document(1, {probed_pod(std::string(kReadiness) + ", " + kLiveness)}));
  tell(ProbeNews::Kind::Ready);
  const uint32_t before = pid("web");
  fake_ = {};
  new_life();
  EXPECT_THAT(fake_.probed(), ElementsAre("web-app-0"));
  EXPECT_TRUE(fake_.target().adopted);
  EXPECT_FALSE(workload("web").ready);
  tell(ProbeNews::Kind::Ready);
  EXPECT_TRUE(workload("web").ready);
  EXPECT_EQ(pid("web"), before);
}

TEST_F(HealthBench, NothingIsSaidToTheProberWhileNothingChanges) {
  apply(document(1, {probed_pod(kReadiness)}));
  const int watched = fake_.watched;
  tell(ProbeNews::Kind::Ready);
  advance(std::chrono::minutes(20));
  EXPECT_EQ(fake_.watched, watched);
}

TEST_F(HealthBench, ARolloutWaitsForReadiness) {
  const auto three = [](const std::string& image) {
    return owner("Deployment", "web",
                 "replicas: 3, selector: { matchLabels: { app: x } }, template: { metadata: { "
                 "labels: { app: x } }, spec: { hostNetwork: true, containers: [{ name: app, "
                 "image: \"" +
                     image + "\", " + kReadiness + " }] } }");
  };
  apply(document(1, {three("img:1")}));
  EXPECT_EQ(controller("Deployment", "web").ready, 0U);
  for (int i = 0; i < 3; ++i) tell(ProbeNews::Kind::Ready, "", 0, "web-" + std::to_string(i));
  EXPECT_EQ(controller("Deployment", "web").ready, 3U);
  images_.add("img:2");
  apply(document(2, {three("img:2")}));
  EXPECT_EQ(controller("Deployment", "web").updated, 1U) << "the next waits for this one";
  tell(ProbeNews::Kind::Ready, "", 0, "web-0");
  EXPECT_EQ(controller("Deployment", "web").updated, 2U);
}

// Its last probe may fail for no other reason, and be heard of before its end.
TEST_F(HealthBench, ThatAContainerEndsIsNotHeldAgainstItsHealth) {
  const std::string startup = ", startupProbe: { tcpSocket: { port: 80 } }";
  int revision = 0;
  for (const auto kind : {ProbeNews::Kind::NotReady, ProbeNews::Kind::LivenessFailed,
                          ProbeNews::Kind::StartupFailed}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const std::string name = "pod-" + std::to_string(static_cast<int>(kind));
    std::string pod = probed_pod(std::string(kReadiness) + ", " + kLiveness + startup);
    pod.replace(pod.find("web"), 3, name);
    apply(document(++revision, {pod}));
    tell(ProbeNews::Kind::Ready, "", 0, name);
    runtime_.clear_history();
    runtime_.exit_container(name, "app", 0);  // in the same breath
    tell(kind, "exit code 137", 0, name);
    EXPECT_THAT(runtime_.history(), ElementsAre("prepare " + name, "start " + name + "/app#1"));
  }
  for (const char* reason : {"Unhealthy", "LivenessProbeFailed", "StartupProbeFailed"}) {
    EXPECT_EQ(records_.events(reason), 0U) << reason;
  }
}

TEST_F(HealthBench, ThatAContainerIsStoppedIsNotHeldAgainstItsHealth) {
  runtime_.ignore_signals("web", "app");
  apply(document(1, {probed_pod(std::string(kReadiness) + ", " + kLiveness)}));
  tell(ProbeNews::Kind::Ready);
  publish(document(2, {}));
  reconciler_->step();  // the signal is on its way
  tell(ProbeNews::Kind::NotReady, "refused");
  tell(ProbeNews::Kind::LivenessFailed, "refused");
  EXPECT_EQ(workload("web").phase, Phase::Stopping);
  EXPECT_EQ(records_.events("Unhealthy"), 0U);
  EXPECT_EQ(records_.events("LivenessProbeFailed"), 0U);
}

TEST_F(HealthBench, WhatAProbeFoundIsNotForgottenWhileNobodyCanLook) {
  apply(document(1, {probed_pod(std::string(kReadiness) + ", " + kLiveness)}));
  tell(ProbeNews::Kind::Ready);
  runtime_.disconnect();
  spin();
  tell(ProbeNews::Kind::NotReady, "refused");
  EXPECT_FALSE(workload("web").ready);
  tell(ProbeNews::Kind::LivenessFailed, "refused");
  runtime_.connect();
  advance(seconds(10));
  EXPECT_EQ(records_.events("Unhealthy"), 1U);
  EXPECT_GE(records_.events("LivenessProbeFailed"), 1U);
  EXPECT_EQ(workload("web").containers.at(0).restarts, 1U);
}

constexpr const char* kHooks =
    "lifecycle: { postStart: { exec: { command: [a] } }, preStop: { exec: { command: [b] } } }";

TEST_F(HealthBench, PostStartComesBeforeAnythingElse) {
  apply(document(1, {probed_pod(std::string(kHooks) + ", " + kLiveness)}));
  ASSERT_THAT(fake_.hooks, SizeIs(1));
  EXPECT_FALSE(fake_.hooks[0].pre_stop);
  EXPECT_EQ(fake_.hooks[0].timeout, seconds(600)) << "whatever the grace period is";
  EXPECT_FALSE(workload("web").ready);
  EXPECT_THAT(fake_.probed(), IsEmpty());
  answer(0);
  EXPECT_TRUE(workload("web").ready);
  EXPECT_THAT(fake_.probed(), ElementsAre("web-app-0"));
}

TEST_F(HealthBench, AFailedPostStartEndsTheContainer) {
  apply(document(1, {probed_pod("lifecycle: { postStart: { exec: { command: [a] } } }")}));
  runtime_.clear_history();
  answer(0, fail(Code::Unavailable, "exit code 3"));
  EXPECT_THAT(runtime_.history(),
              ElementsAre("signal web/app#0 15", "prepare web", "start web/app#1"));
  EXPECT_EQ(records_.events("FailedPostStartHook"), 1U);
}

TEST_F(HealthBench, APostStartThatCouldNotBeRunEndsNothing) {
  apply(document(1, {probed_pod("lifecycle: { postStart: { exec: { command: [a] } } }")}));
  runtime_.clear_history();
  answer(0, fail(Code::Cancelled, "containerd is away"));
  EXPECT_THAT(runtime_.history(), IsEmpty());
  EXPECT_TRUE(workload("web").ready);
}

TEST_F(HealthBench, AHookThatItsContainersEndCutShortIsNoFailure) {
  apply(document(1, {probed_pod(kHooks)}));
  runtime_.exit_container("web", "app", 0);
  answer(0, fail(Code::Unavailable, "exit code 137"));
  advance(seconds(10));
  ASSERT_THAT(fake_.hooks, SizeIs(2)) << "started anew";
  answer(1);
  apply(document(2, {}));
  ASSERT_THAT(fake_.hooks, SizeIs(3));
  runtime_.clear_history();
  answer(2, fail(Code::NotFound, "container web-app-1 has ended meanwhile"));
  EXPECT_THAT(runtime_.history(), ElementsAre("signal web/app#1 15", "remove-pod web"));
  EXPECT_EQ(records_.events("FailedPostStartHook"), 0U);
  EXPECT_EQ(records_.events("FailedPreStopHook"), 0U);
  EXPECT_EQ(records_.events("PostStartHookError"), 0U);
}

TEST_F(HealthBench, PreStopComesBeforeSigterm) {
  apply(document(1, {probed_pod(kHooks)}));
  answer(0);
  runtime_.clear_history();
  apply(document(2, {}));
  ASSERT_THAT(fake_.hooks, SizeIs(2));
  EXPECT_TRUE(fake_.hooks[1].pre_stop);
  EXPECT_THAT(runtime_.history(), IsEmpty());
  answer(1);
  EXPECT_THAT(runtime_.history(), ElementsAre("signal web/app#0 15", "remove-pod web"));
}

TEST_F(HealthBench, APreStopThatTakesAllOfTheGracePeriodLeavesTwoSeconds) {
  runtime_.ignore_signals("web", "app");
  apply(document(1, {probed_pod(kHooks)}));
  answer(0);
  runtime_.clear_history();
  apply(document(2, {}));
  advance(seconds(30));
  EXPECT_THAT(runtime_.history(), IsEmpty());
  answer(1, fail(Code::DeadlineExceeded, "no answer"));
  EXPECT_THAT(runtime_.history(), ElementsAre("signal web/app#0 15"));
  EXPECT_EQ(records_.events("FailedPreStopHook"), 1U);
  advance(seconds(2));
  EXPECT_THAT(runtime_.history(), ElementsAre("signal web/app#0 15", "remove-pod web"));
}

TEST_F(HealthBench, APreStopThatIsNeverAnsweredEndsAnyway) {
  apply(document(1, {probed_pod(kHooks)}));
  answer(0);
  runtime_.clear_history();
  apply(document(2, {}));
  advance(seconds(32));
  EXPECT_THAT(runtime_.history(), ElementsAre("remove-pod web"));
}

TEST_F(HealthBench, ADeadlineHoldsAcrossLivesAndNotAcrossBoots) {
  apply(document(1, {pod("web", "img:1", ", activeDeadlineSeconds: 60")}));
  advance(seconds(30));
  new_life();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  runtime_.clear_history();
  advance(seconds(30));
  EXPECT_EQ(workload("web").phase, Phase::Failed);
  EXPECT_EQ(workload("web").reason, "DeadlineExceeded");
  EXPECT_THAT(runtime_.history(), ElementsAre("signal web/app#0 15"));
  new_life();
  EXPECT_EQ(workload("web").reason, "DeadlineExceeded");
  EXPECT_EQ(pid("web"), 0U);
}

}  // namespace
}  // namespace wherry::test
