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

TEST_F(ResourcesBench, WhoeverIsGoneIsNotTheReasonAnyMore) {
  apply(document(1, {asking("low", "600Mi")}));
  apply(document(2, {asking("low", "600Mi"), asking("high", "600Mi", ", priority: 5")}));
  EXPECT_EQ(workload("low").reason, "Preempted");
  apply(document(3, {asking("low", "600Mi"), asking("high", "600Mi")}));
  EXPECT_EQ(workload("low").reason, "InsufficientMemory") << "it has no higher priority now";
  apply(document(4, {asking("low", "60Gi")}));
  EXPECT_EQ(workload("low").reason, "InsufficientMemory");
  EXPECT_THAT(workload("low").message, testing::Not(HasSubstr("high")));
}

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
  EXPECT_EQ(desired().state, "Applying") << "it has its former size";
  EXPECT_EQ(records_.events("MemoryInUse"), 1U);
  advance(std::chrono::minutes(1));
  EXPECT_EQ(workload("web").reason, "");
  EXPECT_EQ(desired().state, "Applied");
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

class FakeGauges final : public runtime::Gauges {
 public:
  runtime::DeviceGauge device() override { return gauge; }
  Result<std::map<std::string, runtime::PodUsage>> pods(bool disk) override {
    disk_asked = disk_asked || disk;
    return usage;
  }
  runtime::DeviceGauge gauge;
  std::map<std::string, runtime::PodUsage> usage;
  bool disk_asked = false;
};

class EvictionBench : public ResourcesBench {
 protected:
  EvictionBench() {
    fake_.gauge.memory_total = int64_t{8} << 30;
    fake_.gauge.memory_available = int64_t{4} << 30;
    fake_.usage["a"].memory = 30 << 20;
    fake_.usage["b"].memory = 200 << 20;
    facts_.disk_reserve = 200 << 20;
    gauges_ = &fake_;
    fresh();
    spin();
    apply(document(1, {asking("a", "10Mi"), asking("b", "300Mi"), asking("c", "1Mi")}));
    advance(kGaugeInterval);
  }
  void shortage(bool is) { fake_.gauge.memory_available = is ? 50 << 20 : int64_t{4} << 30; }
  size_t running() {
    size_t count = 0;
    for (const char* name : {"a", "b", "c"}) {
      count += workload(name).phase == Phase::Running ? 1 : 0;
    }
    return count;
  }

  FakeGauges fake_;
};

TEST_F(EvictionBench, OneAtATimeGoesAndComesBackWhenItIsOver) {
  ASSERT_EQ(running(), 3U);
  shortage(true);
  advance(kGaugeInterval);
  EXPECT_EQ(workload("a").phase, Phase::Failed) << "it uses more than it asks for";
  EXPECT_EQ(workload("a").reason, "Evicted");
  EXPECT_THAT(workload("a").message,
              HasSubstr("50.0 MiB are available, and 100.0 MiB are the least; it used 30.0 MiB of "
                        "memory and asked for 10.0 MiB"));
  EXPECT_EQ(running(), 2U) << "one each time";
  EXPECT_EQ(records_.events("Evicted"), 1U);
  fake_.usage.erase("a");
  advance(kGaugeInterval);
  EXPECT_EQ(workload("b").reason, "Evicted");
  EXPECT_EQ(running(), 1U);
  for (int i = 0; i < 30; ++i) advance(kGaugeInterval);
  EXPECT_EQ(running(), 1U) << "nobody comes back as long as it lasts";
  EXPECT_EQ(records_.events("Evicted"), 2U) << "c uses nothing";

  shortage(false);
  for (int i = 0; i < 4; ++i) advance(kGaugeInterval);
  EXPECT_EQ(running(), 3U);
  EXPECT_FALSE(fake_.disk_asked);
}

TEST_F(EvictionBench, WhoIsEvictedAgainWaitsLonger) {
  for (int i = 0; i < 3; ++i) {
    shortage(true);
    advance(kGaugeInterval);
    ASSERT_EQ(workload("a").reason, "Evicted");
    shortage(false);
    Duration waited{};
    while (workload("a").phase != Phase::Running && waited < std::chrono::minutes(10)) {
      advance(std::chrono::seconds(5));
      waited += std::chrono::seconds(5);
    }
    EXPECT_GE(waited, std::chrono::seconds(i == 2 ? 25 : 5)) << i;
    EXPECT_LE(waited, std::chrono::minutes(2));
  }
}

TEST_F(EvictionBench, ImagesGoBeforeAPodDoes) {
  fake_.usage["b"].disk = 1 << 30;
  fake_.gauge.disks = {{"the state directory", int64_t{8} << 30, 50 << 20}};
  advance(kGaugeInterval);
  EXPECT_EQ(running(), 3U);
  advance(kGaugeInterval);
  EXPECT_EQ(workload("b").reason, "Evicted");
  EXPECT_THAT(workload("b").message, HasSubstr("the disk of the state directory is full"));
  EXPECT_TRUE(fake_.disk_asked);
}

TEST_F(EvictionBench, WhoTakesMoreOfTheDiskThanItMayGoes) {
  const std::string limited =
      "{ apiVersion: v1, kind: Pod, metadata: { name: d }, spec: { hostNetwork: true, containers: "
      "[{ name: app, image: \"img:1\", resources: { limits: { ephemeral-storage: 1Mi } } }] } }\n";
  EXPECT_FALSE(fake_.disk_asked);
  apply(document(2, {limited}));
  fake_.usage["d"].containers["app"] = 2 << 20;
  advance(kGaugeInterval);
  advance(kLimitInterval);
  EXPECT_EQ(workload("d").phase, Phase::Failed);
  EXPECT_EQ(workload("d").reason, "Evicted");
  EXPECT_THAT(workload("d").message, HasSubstr("took 2.0 MiB of the disk"));
  fake_.usage.clear();
  for (int i = 0; i < 4; ++i) advance(kGaugeInterval);
  EXPECT_EQ(workload("d").phase, Phase::Running);
}

}  // namespace
}  // namespace wherry::test
