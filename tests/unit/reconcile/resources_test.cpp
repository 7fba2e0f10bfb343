// Room, priority and sizes, from document to container stack.

#include <gmock/gmock.h>

#include "tests/unit/reconcile/bench.h"

namespace wherry::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class ResourcesBench : public BenchTest {
 protected:
  ResourcesBench() {
    facts_.memory_bytes = int64_t{1} << 30;
    fresh();
    spin();
  }
  static std::string asking(const std::string& name, const std::string& memory,
                            const std::string& spec = "") {
    return "{ apiVersion: v1, kind: Pod, metadata: { name: " + name +
           " }, spec: { hostNetwork: true, containers: [{ name: app, image: \"img:1\", resources: "
           "{ "
           "requests: { memory: " +
           memory + " } } }]" + spec + " } }\n";
  }
};

TEST_F(ResourcesBench, TheStoppedOneComesBackWhenThereIsRoom) {
  apply(document(1, {asking("low", "600Mi")}));
  EXPECT_EQ(workload("low").phase, Phase::Running);
  apply(document(2, {asking("low", "600Mi"), asking("high", "600Mi", ", priority: 5")}));
  EXPECT_EQ(workload("high").phase, Phase::Running);
  EXPECT_EQ(workload("low").phase, Phase::Pending);
  EXPECT_EQ(workload("low").reason, "Preempted");
  EXPECT_THAT(workload("low").message, HasSubstr("held by high (600.0 MiB)"));
  EXPECT_EQ(records_.events("Preempted"), 1U);
  EXPECT_EQ(desired().state, "Applying");

  // Neither a new look nor another life of the agent changes anything.
  const uint32_t before = pid("high");
  fresh();
  spin();
  EXPECT_EQ(pid("high"), before);
  EXPECT_EQ(workload("low").phase, Phase::Pending);

  apply(document(3, {asking("low", "600Mi")}));
  EXPECT_EQ(workload("low").phase, Phase::Running);
  EXPECT_EQ(workload("low").reason, "");
}

TEST_F(ResourcesBench, AfterARebootTheSameOnesRun) {
  apply(document(1, {asking("z", "600Mi")}));
  apply(document(2, {asking("a", "600Mi"), asking("z", "600Mi")}));
  EXPECT_EQ(workload("a").reason, "InsufficientMemory");
  runtime_.reboot();
  boot_ = "boot-2";
  fresh();
  spin();
  EXPECT_EQ(workload("z").phase, Phase::Running);
  EXPECT_EQ(workload("a").reason, "InsufficientMemory");
}

TEST_F(ResourcesBench, AChangedSizeIsAppliedWithoutARestart) {
  apply(document(1, {asking("web", "100Mi")}));
  const uint32_t before = pid("web");
  runtime_.clear_history();
  apply(document(2, {asking("web", "200Mi")}));
  EXPECT_EQ(runtime_.history(), std::vector<std::string>{"resize web/app#0"});
  EXPECT_EQ(pid("web"), before);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(records_.events("Resized"), 1U);
  runtime_.clear_history();
  fresh();
  spin();
  EXPECT_EQ(runtime_.history(), std::vector<std::string>{"collect web"}) << "it is known";

  // A restart of the container takes the new size by itself.
  ASSERT_TRUE(runtime_.exit_container("web", "app", 1));
  advance(std::chrono::minutes(1));
  EXPECT_THAT(runtime_.history(), Contains("start web/app#1"));
  EXPECT_THAT(runtime_.history(), Not(Contains("resize web/app#1")));
}

TEST_F(ResourcesBench, ASizeThatCannotBeAppliedIsReportedAndTriedAgain) {
  apply(document(1, {asking("web", "100Mi")}));
  runtime_.fail_next(runtime::FakeRuntime::Op::Resize,
                     Error(Code::FailedPrecondition, "it holds more", "MemoryInUse"));
  apply(document(2, {asking("web", "50Mi")}));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_EQ(workload("web").reason, "MemoryInUse");
  EXPECT_TRUE(workload("web").ready);
  EXPECT_EQ(records_.events("MemoryInUse"), 1U);
  advance(std::chrono::minutes(1));
  EXPECT_EQ(workload("web").reason, "");
  EXPECT_THAT(runtime_.history(), Contains("resize web/app#0"));
}

TEST_F(ResourcesBench, ResizePolicyMayAskForANewContainer) {
  const auto with = [](const std::string& memory) {
    return "{ apiVersion: v1, kind: Pod, metadata: { name: web }, spec: { hostNetwork: true, "
           "containers: [{ name: app, image: \"img:1\", resizePolicy: [{ resourceName: memory, "
           "restartPolicy: RestartContainer }], resources: { requests: { memory: " +
           memory + " } } }] } }\n";
  };
  apply(document(1, {with("100Mi")}));
  const uint32_t before = pid("web");
  apply(document(2, {with("200Mi")}));
  EXPECT_NE(pid("web"), before);
  EXPECT_EQ(runtime_.count(runtime::FakeRuntime::Op::Resize), 0U);
}

}  // namespace
}  // namespace wherry::test
