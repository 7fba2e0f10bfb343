// Init containers and sidecars: the order in which a Pod's containers start and stop.

#include <gmock/gmock.h>

#include "agent/reconcile/pod_tally.h"
#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"
#include "tests/unit/reconcile/specs.h"

namespace wherry::test {
namespace {

using runtime::ContainerRole;
using runtime::ContainerStatus;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// Two init containers, a sidecar between them, one main container.
WorkloadSpec staged(RestartPolicy policy = RestartPolicy::Always) {
  WorkloadSpec spec = workload("web");
  spec.restart_policy = policy;
  runtime::ContainerSpec one = spec.pod.containers[0];
  const auto add = [&](const char* name, ContainerRole role) {
    one.name = name;
    one.role = role;
    spec.pod.containers.insert(spec.pod.containers.end() - 1, one);
  };
  add("fetch", ContainerRole::Init);
  add("proxy", ContainerRole::Sidecar);
  add("migrate", ContainerRole::Init);
  return spec;
}

class InitTest : public testing::Test {
 protected:
  // Takes in that the containers are so, all of this boot.
  void see(std::vector<ContainerStatus> statuses) {
    for (ContainerStatus& status : statuses) {
      status.role = find_spec(spec_, status.name)->role;
    }
    scene_.observed["web"] = pod_of(spec_, std::move(statuses));
    remember(scene_.memory["web"], {scene_.observed["web"], &spec_, scene_.now, 0});
  }
  Verdict verdict() {
    scene_.want(spec_);
    scene_.images_present("web");
    return scene_.verdict("web");
  }
  std::vector<std::string> starts() {
    std::vector<std::string> names;
    const Verdict now = verdict();
    if (!now.action || now.action->kind != ActionKind::Start) return names;
    for (const ContainerStart& start : now.action->starts) names.push_back(start.name);
    return names;
  }
  static ContainerStatus up(const char* name, uint32_t attempt = 0) {
    return running("web", name, attempt);
  }
  static ContainerStatus down(const char* name, int code = 0, uint32_t attempt = 0) {
    return exited("web", name, code, attempt);
  }

  WorkloadSpec spec_ = staged();
  Scene scene_;
};

TEST_F(InitTest, EachWaitsForTheOneBefore) {
  EXPECT_THAT(starts(), ElementsAre("fetch"));
  see({up("fetch")});
  EXPECT_THAT(starts(), IsEmpty());
  EXPECT_EQ(verdict().phase, Phase::Starting);
  EXPECT_EQ(verdict().reason, "PodInitializing");
  EXPECT_THAT(verdict().message, HasSubstr("fetch (1 of 3)"));
  EXPECT_FALSE(verdict().ready);
  see({down("fetch")});
  EXPECT_THAT(starts(), ElementsAre("proxy"));
  see({down("fetch"), up("proxy")});
  EXPECT_THAT(starts(), ElementsAre("migrate"));
  see({down("fetch"), up("proxy"), up("migrate")});
  EXPECT_THAT(starts(), IsEmpty());
  see({down("fetch"), up("proxy"), down("migrate")});
  EXPECT_THAT(starts(), ElementsAre("app"));
  see({down("fetch"), up("proxy"), down("migrate"), up("app")});
  EXPECT_THAT(starts(), IsEmpty());
  EXPECT_TRUE(verdict().ready);
  EXPECT_EQ(verdict().phase, Phase::Running);
}

TEST_F(InitTest, ASidecarThatHasNotPassedItsStartupProbeHoldsTheNext) {
  spec_.pod.containers[1].startup = runtime::Probe{};
  see({down("fetch"), up("proxy")});
  EXPECT_THAT(starts(), IsEmpty());
  EXPECT_THAT(verdict().message, HasSubstr("proxy (2 of 3) runs and is not up yet"));
  scene_.memory["web"].containers["proxy"].vitals.startup_passed = true;
  EXPECT_THAT(starts(), ElementsAre("migrate"));
}

TEST_F(InitTest, AFailureIsTriedAgainUnlessThePolicyIsNever) {
  see({down("fetch", 3)});
  EXPECT_THAT(starts(), ElementsAre("fetch")) << "the first time at once";
  EXPECT_EQ(verdict().action->starts[0].attempt, 1U);
  see({up("fetch", 1)});
  scene_.now += seconds(1);
  see({down("fetch", 3, 1)});
  EXPECT_THAT(starts(), IsEmpty());
  EXPECT_EQ(verdict().phase, Phase::BackOff);
  EXPECT_EQ(verdict().reason, "CrashLoopBackOff");

  spec_ = staged(RestartPolicy::Never);
  scene_ = {};
  see({down("fetch", 3)});
  EXPECT_THAT(starts(), IsEmpty());
  EXPECT_EQ(verdict().phase, Phase::Failed);
  EXPECT_THAT(verdict().message, HasSubstr("fetch ended with exit code 3"));
}

TEST_F(InitTest, ARestartOfTheMainContainerRunsNoInitContainerAgain) {
  see({down("fetch"), up("proxy"), down("migrate"), down("app", 1)});
  EXPECT_THAT(starts(), ElementsAre("app"));
  see({up("proxy"), up("app", 1)});
  EXPECT_THAT(starts(), IsEmpty()) << "somebody removed what had ended";
  EXPECT_TRUE(verdict().ready);
}

TEST_F(InitTest, AfterARebootAllBeginsAnewButAPodThatWasDoneStaysDone) {
  for (const bool finished : {false, true}) {
    spec_ = staged(RestartPolicy::Never);
    scene_ = {};
    see({down("fetch"), up("proxy"), down("migrate"), up("app")});
    if (finished) see({down("fetch"), down("proxy"), down("migrate"), down("app")});
    std::vector<ContainerStatus> lost = {down("fetch", 255), down("proxy", 255),
                                         down("migrate", 255), down("app", 255)};
    for (ContainerStatus& status : lost) status.before_boot = true;
    see(lost);
    if (finished) {
      EXPECT_THAT(starts(), IsEmpty());
      EXPECT_EQ(verdict().phase, Phase::Succeeded);
    } else {
      EXPECT_THAT(starts(), ElementsAre("fetch"));
    }
  }
}

TEST_F(InitTest, ASidecarIsStartedAgainWhateverItsEndAndStoppedOnceAllElseIsOver) {
  spec_ = staged(RestartPolicy::Never);
  see({down("fetch"), down("proxy"), down("migrate"), up("app")});
  EXPECT_THAT(starts(), ElementsAre("proxy"));
  see({down("fetch"), up("proxy", 1), down("migrate"), down("app")});
  const Verdict now = verdict();
  ASSERT_TRUE(now.action);
  EXPECT_EQ(now.action->kind, ActionKind::Terminate);
  EXPECT_THAT(now.action->container_ids, ElementsAre("web-proxy-1"));
  EXPECT_EQ(now.action->reason, "Completed") << "the Pod stays";
  scene_.memory["web"].stops["web-proxy-1"] = {ContainerStop::Stage::Told, scene_.now + seconds(30),
                                               "Completed", ""};
  see({down("fetch"), down("proxy", 143, 1), down("migrate"), down("app")});
  EXPECT_FALSE(verdict().action);
  EXPECT_EQ(verdict().phase, Phase::Succeeded);
}

TEST_F(InitTest, SidecarsStopAfterTheOthersFromTheLastToTheFirst) {
  runtime::ContainerSpec second = spec_.pod.containers[1];
  second.name = "shipper";
  spec_.pod.containers.insert(spec_.pod.containers.begin() + 2, second);
  see({up("proxy"), up("shipper"), up("app")});
  scene_.memory["web"].previous = share(spec_);
  const auto told = [&] {
    const Verdict now = scene_.verdict("web");
    if (!now.action || now.action->kind != ActionKind::Terminate) return std::vector<std::string>();
    for (const std::string& id : now.action->container_ids) scene_.memory["web"].stops[id] = {};
    if (!scene_.memory["web"].kill_at) scene_.memory["web"].kill_at = scene_.now + seconds(30);
    return now.action->container_ids;
  };
  EXPECT_THAT(told(), ElementsAre("web-app-0"));
  EXPECT_THAT(told(), IsEmpty());
  see({up("proxy"), up("shipper"), down("app")});
  EXPECT_THAT(told(), ElementsAre("web-shipper-0"));
  EXPECT_THAT(told(), IsEmpty());
  see({up("proxy"), down("shipper"), down("app")});
  EXPECT_THAT(told(), ElementsAre("web-proxy-0"));
  scene_.now += seconds(30);
  EXPECT_EQ(scene_.verdict("web").action->kind, ActionKind::Remove);
}

class InitBench : public BenchTest {
 protected:
  static std::string staged_pod(const std::string& more = "") {
    return pod("web", "img:1",
               ", initContainers: [{ name: fetch, image: \"img:1\" }, "
               "{ name: proxy, image: \"img:1\", restartPolicy: Always }]" +
                   more);
  }
};

TEST_F(InitBench, APodStartsInStagesAndANewLifeGoesOnInTheMiddle) {
  apply(document(1, {staged_pod()}));
  EXPECT_EQ(workload("web").reason, "PodInitializing");
  EXPECT_TRUE(runtime_.exit_container("web", "fetch", 0));
  fresh();
  spin();
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_TRUE(workload("web").ready);
  ASSERT_EQ(workload("web").containers.size(), 3U);
  EXPECT_EQ(workload("web").containers[0].role, "init");
  EXPECT_EQ(workload("web").containers[0].state, "exited");
  runtime_.clear_history();
  fresh();
  spin();
  EXPECT_THAT(runtime_.history(), ElementsAre("collect web"));
}

TEST_F(InitBench, AReplacedPodStopsItsSidecarLast) {
  apply(document(1, {staged_pod()}));
  EXPECT_TRUE(runtime_.exit_container("web", "fetch", 0));
  spin();
  ASSERT_TRUE(workload("web").ready);
  runtime_.clear_history();
  apply(document(2, {}));
  EXPECT_THAT(runtime_.history(),
              ElementsAre("signal web/app#0 15", "signal web/proxy#0 15", "remove-pod web"));
}

TEST_F(InitBench, AJobIsDoneThoughItsSidecarWouldGoOn) {
  apply(document(1, {owner("Job", "work",
                           "backoffLimit: 0, " + pods_of("img:1",
                                                         ", restartPolicy: OnFailure, "
                                                         "initContainers: [{ name: proxy, "
                                                         "image: \"img:1\", "
                                                         "restartPolicy: Always }]"))}));
  EXPECT_TRUE(workload("work").ready);
  EXPECT_TRUE(runtime_.exit_container("work", "proxy", 1));
  spin();
  EXPECT_EQ(controller("Job", "work").phase, "Active") << "its ends are no attempts of the Job";
  EXPECT_TRUE(runtime_.exit_container("work", "app", 0));
  spin();
  EXPECT_EQ(controller("Job", "work").phase, "Complete");
  EXPECT_EQ(controller("Job", "work").failed, 0U);
  EXPECT_EQ(workload("work").phase, Phase::Succeeded);
}

}  // namespace
}  // namespace wherry::test
