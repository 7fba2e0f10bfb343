// The planner, case by case.

#include <gtest/gtest.h>

#include "tests/unit/reconcile/specs.h"

namespace wherry::test {
namespace {

using std::chrono::seconds;

bool acts(const Verdict& verdict, ActionKind kind) {
  return verdict.action && verdict.action->kind == kind;
}

TEST(Plan, ANewWorkloadHasItsImagesLookedForThenIsStarted) {
  Scene scene;
  scene.want(workload("web"));
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::CheckImages));
  scene.images_present("web");
  const Verdict verdict = scene.verdict("web");
  ASSERT_TRUE(acts(verdict, ActionKind::Start));
  EXPECT_EQ(verdict.action->starts, (std::vector<ContainerStart>{{"app", 0}}));
  EXPECT_EQ(verdict.phase, Phase::Starting);
  EXPECT_EQ(verdict.reason, "ContainerCreating");
}

TEST(Plan, WhatIsEqualIsLeftAloneWhateverItsLabelsSay) {
  Scene scene;
  WorkloadSpec spec = workload("web");
  scene.runs(spec);
  spec.revision = 7;
  spec.source = "groups/other";
  spec.termination_grace = seconds(1);
  scene.want(spec);
  const Verdict verdict = scene.verdict("web");
  EXPECT_FALSE(verdict.action);
  EXPECT_TRUE(verdict.pulls.empty());
  EXPECT_EQ(verdict.phase, Phase::Running);
  EXPECT_TRUE(verdict.ready);
  EXPECT_TRUE(verdict.reason.empty());
}

TEST(Plan, AMovedTagReplacesButAMissingOrPinnedImageDoesNot) {
  Scene scene;
  const WorkloadSpec spec = workload("web");
  scene.want(spec);
  scene.runs(spec);
  scene.images_present("web");
  scene.observed["web"].containers[0].image_digest = "sha256:a";
  EXPECT_FALSE(scene.verdict("web").action) << "the image is not in the store any more";
  scene.digests["docker.io/library/img-1:latest"] = "sha256:a";
  EXPECT_FALSE(scene.verdict("web").action);
  scene.digests["docker.io/library/img-1:latest"] = "sha256:b";
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Terminate));

  WorkloadSpec pinned = spec;
  pinned.pod.containers[0].image = "img-1@sha256:a";
  scene.want(pinned);
  EXPECT_FALSE(scene.verdict("web").action) << "a pinned image never moves";
}

TEST(Plan, ABusyWorkloadIsGivenNothingElseToDo) {
  Scene scene;
  scene.want(workload("web"));
  scene.images_present("web");
  scene.memory["web"].busy = true;
  EXPECT_FALSE(scene.verdict("web").action);
  EXPECT_EQ(scene.verdict("web").phase, Phase::Starting);
}

TEST(Plan, AMissingImageIsPulledAndFailuresBackOff) {
  Scene scene;
  scene.want(workload("web"));
  scene.memory["web"].images = ImagesState::Missing;
  scene.memory["web"].missing = {"img-1"};
  Plan plan = scene.plan();
  EXPECT_EQ(plan.pulls, std::set<std::string>{"img-1"});
  EXPECT_EQ(plan.workloads.at("web").phase, Phase::Pulling);

  PullMemory& pull = scene.pulls["img-1"];
  pull.trouble.failed(Error(Code::Unavailable, "no route to registry"), "ErrImagePull", scene.now);
  plan = scene.plan();
  EXPECT_EQ(plan.workloads.at("web").phase, Phase::BackOff);
  EXPECT_EQ(plan.workloads.at("web").reason, "ErrImagePull");
  EXPECT_EQ(plan.wake_at, pull.trouble.not_before);
  pull.trouble.failed(Error(Code::Unavailable, "no route to registry"), "ErrImagePull", scene.now);
  EXPECT_EQ(scene.verdict("web").reason, "ImagePullBackOff");
  EXPECT_NE(scene.verdict("web").message.find("no route to registry"), std::string::npos);

  scene.now = pull.trouble.not_before;
  EXPECT_EQ(scene.verdict("web").phase, Phase::Pulling);
}

TEST(Plan, PullPolicyNeverDoesNotPull) {
  Scene scene;
  WorkloadSpec spec = workload("web");
  spec.pod.containers[0].pull_policy = runtime::PullPolicy::Never;
  scene.want(spec);
  scene.memory["web"].images = ImagesState::Missing;
  scene.memory["web"].missing = {"img-1"};
  EXPECT_TRUE(scene.plan().pulls.empty());
  EXPECT_EQ(scene.verdict("web").reason, "ErrImageNeverPull");
}

TEST(Plan, PullPolicyAlwaysPullsWhenThePodIsMadeAndNotLater) {
  Scene scene;
  WorkloadSpec spec = workload("web");
  spec.pod.containers[0].pull_policy = runtime::PullPolicy::Always;
  scene.want(spec);
  scene.images_present("web");
  EXPECT_EQ(scene.plan().pulls, std::set<std::string>{"img-1"});
  scene.memory["web"].pulled.insert("img-1");
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Start));

  scene.memory["web"].pulled.clear();
  ContainerMemory& past = scene.memory["web"].containers["app"];
  past.hash = spec.pod.hash;
  past.started_at = WallTime(seconds(1));
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Start)) << "the same Pod after a reboot";
}

TEST(Plan, AChangedWorkloadIsPulledFirstStoppedRemovedStarted) {
  Scene scene;
  const WorkloadSpec old = workload("web", "1");
  scene.runs(old);
  scene.want(workload("web", "2"));
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::CheckImages));
  scene.memory["web"].images = ImagesState::Missing;
  scene.memory["web"].missing = {"img-2"};
  Verdict verdict = scene.verdict("web");
  EXPECT_FALSE(verdict.action);
  EXPECT_EQ(verdict.pulls, std::set<std::string>{"img-2"});
  EXPECT_EQ(verdict.phase, Phase::Pulling);
  EXPECT_TRUE(verdict.ready) << "the old one still serves";

  scene.images_present("web");
  verdict = scene.verdict("web");
  ASSERT_TRUE(acts(verdict, ActionKind::Terminate));
  EXPECT_EQ(verdict.action->container_ids, std::vector<std::string>{"web-app-0"});
  EXPECT_EQ(verdict.action->grace, seconds(30));
  EXPECT_EQ(verdict.phase, Phase::Stopping);

  scene.told("web", seconds(30));
  EXPECT_FALSE(scene.verdict("web").action);
  EXPECT_EQ(scene.verdict("web").wake_at, scene.memory["web"].kill_at);
  scene.now += seconds(30);
  ASSERT_TRUE(acts(scene.verdict("web"), ActionKind::Remove));
  EXPECT_TRUE(scene.verdict("web").action->whole_pod);
}

TEST(Plan, WhatWasSignalledIsReplacedEvenWhenItIsWantedAgain) {
  Scene scene;
  const WorkloadSpec spec = workload("web");
  scene.runs(spec);
  scene.want(spec);
  scene.told("web", seconds(5));
  EXPECT_FALSE(scene.verdict("web").action);
  scene.observed["web"].containers[0] = exited("web", "app", 143);
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Remove));
}

TEST(Plan, DeleteFirstStopsBeforeItPulls) {
  Scene scene;
  scene.runs(workload("web", "1"));
  WorkloadSpec next = workload("web", "2");
  next.update_strategy = UpdateStrategy::DeleteFirst;
  scene.want(next);
  scene.memory["web"].images = ImagesState::Missing;
  scene.memory["web"].missing = {"img-2"};
  const Verdict verdict = scene.verdict("web");
  EXPECT_TRUE(acts(verdict, ActionKind::Terminate));
}

TEST(Plan, ThePreviousVersionIsRestartedWhileItsSuccessorIsPulled) {
  Scene scene;
  const WorkloadSpec old = workload("web", "1");
  scene.runs(old);
  scene.memory["web"].previous = share(old);
  scene.want(workload("web", "2"));
  scene.memory["web"].images = ImagesState::Missing;
  scene.memory["web"].missing = {"img-2"};
  scene.observed["web"].containers[0] = exited("web", "app", 1);
  ContainerMemory& past = scene.memory["web"].containers["app"];
  past.ended = true;
  past.exit_code = 1;
  const Verdict verdict = scene.verdict("web");
  ASSERT_TRUE(acts(verdict, ActionKind::Start));
  EXPECT_EQ(verdict.action->spec->pod.hash, old.pod.hash);
  EXPECT_EQ(verdict.action->starts, (std::vector<ContainerStart>{{"app", 1}}));
  EXPECT_EQ(verdict.pulls, std::set<std::string>{"img-2"});
}

TEST(Plan, OnlyTheDeadContainerOfAPodIsRestarted) {
  Scene scene;
  WorkloadSpec spec = workload("web");
  spec.pod.containers.push_back(spec.pod.containers[0]);
  spec.pod.containers[1].name = "side";
  scene.want(spec);
  scene.runs(spec);
  scene.images_present("web");
  scene.observed["web"].containers[1] = exited("web", "side", 2);
  ContainerMemory& past = scene.memory["web"].containers["side"];
  past.ended = true;
  past.exit_code = 2;
  const Verdict verdict = scene.verdict("web");
  ASSERT_TRUE(acts(verdict, ActionKind::Start));
  EXPECT_EQ(verdict.action->starts, (std::vector<ContainerStart>{{"side", 1}}));

  past.not_before = scene.now + seconds(10);
  past.failures = 2;
  EXPECT_FALSE(scene.verdict("web").action);
  EXPECT_EQ(scene.verdict("web").phase, Phase::BackOff);
  EXPECT_EQ(scene.verdict("web").reason, "CrashLoopBackOff");
  EXPECT_FALSE(scene.verdict("web").ready);
  EXPECT_EQ(scene.verdict("web").wake_at, past.not_before);
}

struct PolicyCase {
  RestartPolicy policy;
  int32_t exit_code;
  bool restarts;
  Phase otherwise;
};

TEST(Plan, RestartPoliciesDecideWhatFollowsAnEnd) {
  const std::vector<PolicyCase> cases = {
      {RestartPolicy::Always, 0, true, {}},
      {RestartPolicy::Always, 1, true, {}},
      {RestartPolicy::OnFailure, 0, false, Phase::Succeeded},
      {RestartPolicy::OnFailure, 1, true, {}},
      {RestartPolicy::Never, 0, false, Phase::Succeeded},
      {RestartPolicy::Never, 1, false, Phase::Failed},
  };
  for (const PolicyCase& wanted : cases) {
    SCOPED_TRACE(static_cast<int>(wanted.policy) * 10 + wanted.exit_code);
    Scene scene;
    WorkloadSpec spec = workload("job");
    spec.restart_policy = wanted.policy;
    scene.want(spec);
    scene.runs(spec);
    scene.images_present("job");
    scene.observed["job"].containers[0] = exited("job", "app", wanted.exit_code);
    ContainerMemory& past = scene.memory["job"].containers["app"];
    past.ended = true;
    past.exit_code = wanted.exit_code;
    past.reason = wanted.exit_code == 0 ? "Completed" : "Error";
    const Verdict verdict = scene.verdict("job");
    EXPECT_EQ(acts(verdict, ActionKind::Start), wanted.restarts);
    if (wanted.restarts) continue;
    EXPECT_EQ(verdict.phase, wanted.otherwise);
    EXPECT_EQ(verdict.ready, wanted.exit_code == 0);
  }
}

TEST(Plan, ADependentWaitsUntilItsDependencyRunsOrHasSucceeded) {
  Scene scene;
  WorkloadSpec base = workload("base");
  base.restart_policy = RestartPolicy::Never;
  scene.want(base);
  scene.want(workload("web", "1", {"base"}));
  scene.images_present("web");
  EXPECT_EQ(scene.verdict("web").reason, "DependencyNotReady");
  EXPECT_FALSE(scene.verdict("web").action);
  scene.runs(base);
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Start));

  scene.observed["base"].containers[0] = exited("base", "app", 0);
  ContainerMemory& past = scene.memory["base"].containers["app"];
  past.ended = true;
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Start));
  past.exit_code = 1;
  EXPECT_EQ(scene.verdict("web").reason, "DependencyNotReady");
}

TEST(Plan, ADependencyThatRestartsStopsNobody) {
  Scene scene;
  const WorkloadSpec base = workload("base");
  const WorkloadSpec web = workload("web", "1", {"base"});
  scene.want(base);
  scene.want(web);
  scene.runs(base);
  scene.runs(web);
  scene.observed["base"].containers[0] = exited("base", "app", 1);
  scene.memory["base"].containers["app"].ended = true;
  EXPECT_FALSE(scene.verdict("web").action);
  EXPECT_EQ(scene.verdict("web").phase, Phase::Running);
  // Nor does the dead base keep the dependent's own restart waiting.
  scene.images_present("web");
  scene.observed["web"].containers[0] = exited("web", "app", 1);
  ContainerMemory& past = scene.memory["web"].containers["app"];
  past.ended = true;
  past.exit_code = 1;
  EXPECT_EQ(scene.verdict("web").reason, "ContainerCreating");
}

TEST(Plan, WhatIsNoLongerWantedStopsInReverseOrder) {
  Scene scene;
  scene.runs(workload("base"));
  scene.runs(workload("web", "1", {"base"}));  // known by its label only
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Terminate));
  EXPECT_FALSE(scene.verdict("base").action);
  EXPECT_EQ(scene.verdict("base").reason, "DependentStillRunning");
  scene.told("web", seconds(1));
  EXPECT_FALSE(scene.verdict("base").action) << "it is still stopping";
  scene.observed["web"].containers[0] = exited("web", "app", 143);
  EXPECT_TRUE(acts(scene.verdict("base"), ActionKind::Terminate));
}

TEST(Plan, LabelsThatDependInACircleDoNotBlockTheRemoval) {
  Scene scene;
  scene.runs(workload("a", "1", {"b"}));
  scene.runs(workload("b", "1", {"a"}));
  EXPECT_TRUE(acts(scene.verdict("a"), ActionKind::Terminate));
  EXPECT_TRUE(acts(scene.verdict("b"), ActionKind::Terminate));
}

TEST(Plan, PodsThatAreReplacedTakeTurns) {
  Scene scene;
  scene.capacity.has.cpu_milli = 4000;
  for (const char* name : {"a", "b", "c", "d"}) {
    scene.runs(workload(name, "1"));
    scene.want(workload(name, "2"));
    scene.images_present(name);
  }
  const auto stopped = [&] {
    std::string names;
    const Plan plan = scene.plan();
    for (const auto& [name, verdict] : plan.workloads) {
      if (verdict.action && verdict.action->kind == ActionKind::Terminate) names += name;
    }
    return names;
  };
  EXPECT_EQ(stopped(), "ab");
  for (const char* name : {"a", "b"}) {
    scene.memory[name].busy = true;  // being told
    scene.memory[name].stopped_from = scene.now;
  }
  EXPECT_EQ(stopped(), "");
  scene.memory["a"].busy = scene.memory["b"].busy = false;
  scene.told("a", seconds(30));
  scene.told("b", seconds(30));
  EXPECT_EQ(stopped(), "");
  EXPECT_EQ(scene.plan().wake_at, scene.now + seconds(1));
  // One is up again: the next may go. The other is slow to stop, which nobody waits for long.
  scene.memory["a"].kill_at.reset();
  scene.runs(workload("a", "2"));
  EXPECT_EQ(stopped(), "c");
  scene.now += seconds(1);
  EXPECT_EQ(stopped(), "cd");
  scene.capacity.has.cpu_milli = 2000;
  EXPECT_EQ(stopped(), "c");
}

TEST(Plan, WhenBothChangeTheDependentGoesFirstAndComesLast) {
  Scene scene;
  scene.runs(workload("base", "1"));
  scene.runs(workload("web", "1", {"base"}));
  scene.want(workload("base", "2"));
  scene.want(workload("web", "2", {"base"}));
  scene.images_present("web");
  EXPECT_FALSE(scene.verdict("web").action) << "whether base can be replaced is not known yet";
  scene.images_present("base");
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Terminate));
  EXPECT_FALSE(scene.verdict("base").action);
  scene.observed.erase("web");
  scene.memory["web"].prepared_hash.clear();
  EXPECT_TRUE(acts(scene.verdict("base"), ActionKind::Terminate));
  EXPECT_EQ(scene.verdict("web").reason, "DependencyNotReady");
  scene.runs(workload("base", "2"));
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Start));
}

TEST(Plan, ADependencyWhoseUpdateIsStillPulledHoldsNobodyUp) {
  Scene scene;
  scene.runs(workload("base", "1"));
  scene.runs(workload("web", "1", {"base"}));
  scene.want(workload("base", "2"));
  scene.want(workload("web", "2", {"base"}));
  scene.images_present("web");
  scene.memory["base"].images = ImagesState::Missing;
  scene.memory["base"].missing = {"img-2"};
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Terminate));
  scene.observed.erase("web");
  scene.memory["web"].prepared_hash.clear();
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Start));
}

TEST(Plan, PodsOfAHeldSourceAreNeverRemoved) {
  Scene scene;
  scene.runs(workload("web"));
  scene.held.insert("devices/d");
  const Verdict verdict = scene.verdict("web");
  EXPECT_FALSE(verdict.action);
  EXPECT_EQ(verdict.reason, "DesiredStateUnknown");
  EXPECT_TRUE(verdict.ready);
  scene.held.clear();
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Terminate));
}

TEST(Plan, AfterARebootItIsStartedAnewWithTheSameCount) {
  Scene scene;
  const WorkloadSpec spec = workload("web");
  scene.want(spec);
  scene.runs(spec);
  scene.images_present("web");
  auto& status = scene.observed["web"].containers[0];
  status = exited("web", "app", 255, 4);
  status.before_boot = true;
  scene.observed["web"].network_ready = false;
  scene.memory["web"].containers["app"] = {};
  const Observation seen{scene.observed["web"], scene.desired["web"].get(), scene.now, 0};
  EXPECT_TRUE(remember(scene.memory["web"], seen).empty());
  const Verdict verdict = scene.verdict("web");
  ASSERT_TRUE(acts(verdict, ActionKind::Start));
  EXPECT_EQ(verdict.action->starts, (std::vector<ContainerStart>{{"app", 4}}));
}

TEST(Plan, ALostNetworkIsNotMadeAnewUnderRunningSiblings) {
  Scene scene;
  WorkloadSpec spec = workload("web");
  spec.pod.containers.push_back(spec.pod.containers[0]);
  spec.pod.containers[1].name = "side";
  scene.want(spec);
  scene.runs(spec);
  scene.images_present("web");
  scene.observed["web"].network_ready = false;
  EXPECT_FALSE(scene.verdict("web").action) << "what runs is left alone";
  scene.observed["web"].containers.pop_back();
  const Verdict verdict = scene.verdict("web");
  ASSERT_TRUE(acts(verdict, ActionKind::Remove));
  EXPECT_FALSE(verdict.action->whole_pod);
  EXPECT_EQ(verdict.action->container_ids, std::vector<std::string>{"web-app-0"});
}

TEST(Plan, WhatWasPreparedForAnotherVersionIsRemovedFirst) {
  Scene scene;
  scene.want(workload("web", "2"));
  scene.images_present("web");
  scene.memory["web"].prepared_hash = "web-1";
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Remove));
  scene.desired.clear();
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Remove)) << "and when nobody wants it";
}

TEST(Plan, ASetupThatFailedWaitsAndSaysWhy) {
  Scene scene;
  scene.want(workload("web"));
  scene.images_present("web");
  Trouble& setup = scene.memory["web"].setup;
  setup.failed(Error(Code::Internal, "bridge: no such plugin", "NetworkSetupFailed"), "x",
               scene.now);
  const Verdict verdict = scene.verdict("web");
  EXPECT_FALSE(verdict.action);
  EXPECT_EQ(verdict.phase, Phase::BackOff);
  EXPECT_EQ(verdict.reason, "NetworkSetupFailed");
  EXPECT_EQ(verdict.wake_at, setup.not_before);
  scene.now = setup.not_before;
  EXPECT_TRUE(acts(scene.verdict("web"), ActionKind::Start));
}

}  // namespace
}  // namespace wherry::test
