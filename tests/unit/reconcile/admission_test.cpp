// Who gets room, who waits, and who has to go.

#include "agent/reconcile/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/reconcile/specs.h"

namespace wherry::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr int64_t kMi = 1 << 20;

WorkloadSpec asking(const std::string& name, int64_t mebibytes, int32_t priority = 0,
                    std::vector<std::string> depends_on = {}) {
  WorkloadSpec spec = workload(name, "1", std::move(depends_on));
  spec.priority = priority;
  spec.pod.containers[0].resources.memory_request = mebibytes * kMi;
  return spec;
}

// A device with 1000 MiB for workloads.
class Admission : public testing::Test {
 protected:
  Admission() {
    scene.capacity.has = {2000, 1100 * kMi, 10 * kMi};
    scene.capacity.kept = {0, 100 * kMi, 0};
  }
  Rooms rooms() const { return find_rooms(scene.input()); }
  void want(const WorkloadSpec& spec) {
    scene.want(spec);
    scene.images_present(spec.name());
  }
  void run(const WorkloadSpec& spec) {
    want(spec);
    scene.runs(spec);
  }
  bool starts(const std::string& name) const {
    const Verdict verdict = scene.verdict(name);
    return verdict.action && verdict.action->kind == ActionKind::Start;
  }
  bool is_stopped(const std::string& name) const {
    const Verdict verdict = scene.verdict(name);
    return verdict.action && verdict.action->kind == ActionKind::Terminate;
  }
  Scene scene;
};

TEST_F(Admission, WhatFitsStarts) {
  want(asking("a", 600));
  want(asking("b", 400));
  EXPECT_TRUE(starts("a"));
  EXPECT_TRUE(starts("b"));
  EXPECT_TRUE(rooms().wanted.empty()) << "nobody has to be asked";
}

TEST_F(Admission, WhatDoesNotFitWaitsWithTheNumbers) {
  run(asking("big", 600));
  run(asking("small", 300));
  want(asking("late", 200));
  const Verdict verdict = scene.verdict("late");
  EXPECT_FALSE(verdict.action);
  EXPECT_EQ(verdict.phase, Phase::Pending);
  EXPECT_EQ(verdict.reason, "InsufficientMemory");
  EXPECT_EQ(verdict.message,
            "it asks for 200.0 MiB of memory, and 100.0 MiB of the 1000.0 MiB for workloads are "
            "free; held by big (600.0 MiB), small (300.0 MiB)");
  scene.desired.erase("small");
  scene.observed.erase("small");
  EXPECT_TRUE(starts("late")) << "as soon as there is room";
}

TEST_F(Admission, NoImageIsFetchedForWhatDoesNotFit) {
  run(asking("big", 900));
  scene.want(asking("late", 200));
  EXPECT_FALSE(scene.verdict("late").action);
  EXPECT_EQ(scene.verdict("late").reason, "InsufficientMemory");
}

TEST_F(Admission, CpuAndDiskAreLimitedToo) {
  WorkloadSpec cpu = workload("cpu");
  cpu.pod.containers[0].resources.cpu_request_milli = 2001;
  WorkloadSpec disk = workload("disk");
  disk.pod.containers[0].resources.storage_request = 11 * kMi;
  want(cpu);
  want(disk);
  EXPECT_EQ(scene.verdict("cpu").reason, "InsufficientCPU");
  EXPECT_EQ(scene.verdict("cpu").message,
            "it asks for 2001m of cpu, and the device has 2000m for workloads: lower its requests");
  EXPECT_EQ(scene.verdict("disk").reason, "InsufficientEphemeralStorage");
}

TEST_F(Admission, SumsDoNotOverflow) {
  for (const char* name : {"a", "b", "c"}) want(asking(name, INT64_MAX / kMi));
  EXPECT_EQ(scene.verdict("a").reason, "InsufficientMemory");
  EXPECT_EQ(scene.verdict("c").reason, "InsufficientMemory");
}

TEST_F(Admission, WhoAsksForNothingAlwaysFits) {
  run(asking("big", 1000));
  want(workload("tiny"));
  want(asking("late", 1));
  EXPECT_TRUE(starts("tiny"));
  EXPECT_FALSE(starts("late"));
}

TEST_F(Admission, TheOneOfHigherPriorityComesFirst) {
  want(asking("a", 600));
  want(asking("b", 600, 10));
  EXPECT_TRUE(starts("b"));
  EXPECT_EQ(scene.verdict("a").reason, "InsufficientMemory");
}

TEST_F(Admission, EqualPriorityStopsNobody) {
  run(asking("z", 600, 10));
  want(asking("a", 600, 10));
  EXPECT_FALSE(scene.verdict("z").action);
  EXPECT_EQ(scene.verdict("a").reason, "InsufficientMemory");
}

TEST_F(Admission, AHigherPriorityStopsTheLowestAndNoMoreThanItNeeds) {
  run(asking("low", 300, 1));
  run(asking("middle", 300, 5));
  run(asking("high", 300, 20));
  want(asking("new", 400, 10));
  EXPECT_TRUE(is_stopped("low"));
  EXPECT_EQ(scene.verdict("low").reason, "Preempted");
  EXPECT_EQ(scene.verdict("low").action->preempted_for, "new");
  EXPECT_FALSE(scene.verdict("middle").action);
  EXPECT_FALSE(scene.verdict("high").action);
  const Verdict waits = scene.verdict("new");
  EXPECT_FALSE(waits.action) << "until the other is gone";
  EXPECT_EQ(waits.reason, "InsufficientMemory");
  EXPECT_THAT(waits.message, HasSubstr("waits for low to stop"));

  // While it stops, nobody else gets the room.
  scene.told("low", std::chrono::seconds(30));
  scene.memory["low"].preempted_for = "new";
  want(asking("sneak", 100, 3));
  EXPECT_FALSE(starts("sneak"));
  EXPECT_FALSE(starts("new"));
  EXPECT_FALSE(scene.verdict("middle").action) << "one is enough";
  scene.observed.erase("low");
  scene.memory["low"].kill_at.reset();
  EXPECT_TRUE(starts("new"));
  EXPECT_EQ(scene.verdict("low").reason, "Preempted");
  EXPECT_EQ(scene.verdict("low").phase, Phase::Pending);
  EXPECT_THAT(scene.verdict("low").message, HasSubstr("make room for new"));
}

TEST_F(Admission, NobodyIsStoppedInVain) {
  run(asking("low", 300, 1));
  run(asking("high", 700, 20));
  want(asking("new", 400, 10));
  EXPECT_FALSE(scene.verdict("low").action) << "it would not help";
  EXPECT_EQ(scene.verdict("new").reason, "InsufficientMemory");
  scene.observed.erase("high");
  scene.desired.erase("high");
  WorkloadSpec polite = asking("new", 900, 10);
  polite.preempts = false;
  want(polite);
  EXPECT_FALSE(scene.verdict("low").action) << "preemptionPolicy: Never";
}

TEST_F(Admission, NobodyIsStoppedBeforeTheOtherCouldStart) {
  run(asking("low", 900, 1));
  scene.want(asking("new", 900, 10));
  EXPECT_FALSE(scene.verdict("low").action);
  EXPECT_EQ(scene.verdict("new").action->kind, ActionKind::CheckImages);
  scene.images_present("new");
  EXPECT_TRUE(is_stopped("low"));
}

TEST_F(Admission, ADependencyIsNeverStoppedForWhatNeedsIt) {
  run(asking("base", 600, 0));
  want(asking("top", 600, 10, {"base"}));
  EXPECT_FALSE(scene.verdict("base").action);
  EXPECT_EQ(scene.verdict("top").reason, "InsufficientMemory");
  // And it gets its room first.
  scene.observed.erase("base");
  scene.memory["base"] = {};
  want(asking("base", 600, 0));
  EXPECT_TRUE(starts("base"));
}

TEST_F(Admission, WhoHadItsPlaceKeepsItAcrossARestartAndAReboot) {
  const WorkloadSpec loop = asking("loop", 600);
  want(loop);
  scene.observed["loop"] = pod_of(loop, {exited("loop", "app", 1)});
  ContainerMemory& past = scene.memory["loop"].containers["app"];
  past.hash = loop.pod.hash;
  past.ended = true;
  past.exit_code = 1;
  past.not_before = scene.now + std::chrono::minutes(5);
  want(asking("a", 600));
  EXPECT_EQ(scene.verdict("a").reason, "InsufficientMemory") << "it only waits for its backoff";

  scene.observed["loop"].containers[0].before_boot = true;
  past.ended = false;
  past.not_before = {};
  EXPECT_TRUE(starts("loop"));
  EXPECT_FALSE(starts("a"));
}

TEST_F(Admission, WhatHasEndedHoldsNothing) {
  WorkloadSpec job = asking("job", 600);
  job.restart_policy = RestartPolicy::Never;
  want(job);
  scene.observed["job"] = pod_of(job, {exited("job", "app", 0)});
  ContainerMemory& past = scene.memory["job"].containers["app"];
  past.hash = job.pod.hash;
  past.ended = true;
  want(asking("a", 600));
  EXPECT_TRUE(starts("a"));
}

TEST_F(Admission, ANewVersionThatDoesNotFitLeavesTheOldOneRunning) {
  run(asking("other", 500));
  const WorkloadSpec old = asking("web", 400);
  run(old);
  WorkloadSpec bigger = asking("web", 600);
  bigger.pod.hash = "web-2";
  scene.memory["web"].previous = share(old);
  want(bigger);
  Verdict verdict = scene.verdict("web");
  EXPECT_FALSE(verdict.action);
  EXPECT_TRUE(verdict.ready);
  EXPECT_EQ(verdict.reason, "InsufficientMemory");
  EXPECT_THAT(verdict.message, HasSubstr("the previous version keeps running"));

  bigger.pod.containers[0].resources.memory_request = 500 * kMi;
  want(bigger);
  EXPECT_TRUE(is_stopped("web"));
  want(asking("sneak", 100));
  EXPECT_FALSE(starts("sneak")) << "the room is kept for the new version";
}

TEST_F(Admission, CpuAndMemoryChangeInPlaceWhereThereIsRoom) {
  WorkloadSpec spec = asking("web", 400);
  spec.priority = 5;  // nobody is stopped for growth that may not come about
  run(spec);
  scene.observed["web"].containers[0].size = spec.pod.containers[0].resources;
  spec.pod.containers[0].resources.memory_request = 700 * kMi;
  want(spec);
  Verdict verdict = scene.verdict("web");
  ASSERT_TRUE(verdict.action);
  EXPECT_EQ(verdict.action->kind, ActionKind::Resize);
  EXPECT_THAT(verdict.action->container_ids, SizeIs(1));
  EXPECT_EQ(verdict.phase, Phase::Running);

  run(asking("other", 500));
  verdict = scene.verdict("web");
  EXPECT_FALSE(verdict.action);
  EXPECT_EQ(verdict.reason, "InsufficientMemory");
  EXPECT_THAT(verdict.message, HasSubstr("former cpu and memory"));
  EXPECT_TRUE(verdict.ready);
  EXPECT_FALSE(scene.verdict("other").action);

  Trouble& trouble = scene.memory["web"].resize;
  scene.desired.erase("other");
  scene.observed.erase("other");
  trouble.failed(Error(Code::FailedPrecondition, "it holds more", "MemoryInUse"), "X", scene.now);
  verdict = scene.verdict("web");
  EXPECT_FALSE(verdict.action);
  EXPECT_EQ(verdict.reason, "MemoryInUse");
  scene.now = trouble.not_before;
  EXPECT_TRUE(scene.verdict("web").action);
}

}  // namespace
}  // namespace wherry::test
