// ConfigMaps and Secrets as volumes: a change of what they hold reaches a running Pod in place.

#include "tests/unit/reconcile/bench.h"

namespace wherry::test {
namespace {

using std::chrono::minutes;
using Op = runtime::FakeRuntime::Op;

class VolumeUpdateTest : public BenchTest {
 protected:
  static std::string config(const std::string& value) {
    return "{ apiVersion: v1, kind: ConfigMap, metadata: { name: conf }, data: { key: " + value +
           " } }\n";
  }
  static std::string reader(const std::string& name = "web") {
    return pod(name, "img:1", ", volumes: [{ name: v, configMap: { name: conf } }]");
  }
  void run() {
    apply(document(1, {config("one"), reader()}));
    ASSERT_EQ(workload("web").phase, Phase::Running);
    started_ = pid("web");
    runtime_.clear_history();
  }
  using Calls = std::vector<std::string>;

  uint32_t started_ = 0;
};

TEST_F(VolumeUpdateTest, AChangeIsBroughtInWithoutARestart) {
  run();
  apply(document(2, {config("two"), reader()}));
  EXPECT_EQ(runtime_.history(), (Calls{"prepare web"}));
  EXPECT_EQ(pid("web"), started_);
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_TRUE(workload("web").ready);
  EXPECT_EQ(records_.events("VolumesUpdated"), 1U);
  apply(document(3, {config("two"), reader()}));
  EXPECT_EQ(runtime_.history(), (Calls{"prepare web"})) << "nothing changed";
}

TEST_F(VolumeUpdateTest, AnotherLifeOfTheAgentLooksOnceAndRestartsNothing) {
  run();
  fresh();
  spin();
  EXPECT_EQ(runtime_.history(), (Calls{"collect web", "prepare web"}));
  EXPECT_EQ(pid("web"), started_);
  EXPECT_EQ(records_.events("VolumesUpdated"), 0U) << "nobody knows that anything changed";
  advance(minutes(10));
  EXPECT_EQ(runtime_.history(), (Calls{"collect web", "prepare web"}));
}

TEST_F(VolumeUpdateTest, WhatFailsIsTriedAgainWhileThePodRunsOn) {
  run();
  runtime_.fail_next(Op::PreparePod, Error(Code::ResourceExhausted, "no space left"));
  apply(document(2, {config("two"), reader()}));
  EXPECT_EQ(workload("web").phase, Phase::Running);
  EXPECT_TRUE(workload("web").ready);
  EXPECT_EQ(workload("web").reason, "VolumeUpdateFailed");
  EXPECT_EQ(desired().state, "Applying") << "it has its former files";
  EXPECT_EQ(runtime_.history(), Calls{});
  advance(minutes(1));
  EXPECT_EQ(desired().state, "Applied");
  EXPECT_EQ(runtime_.history(), (Calls{"prepare web"}));
  EXPECT_EQ(workload("web").reason, "");
  EXPECT_EQ(pid("web"), started_);
}

TEST_F(VolumeUpdateTest, PodsWithoutFilesAreLeftAlone) {
  apply(document(1, {config("one"), pod("web")}));
  runtime_.clear_history();
  apply(document(2, {config("two"), pod("web")}));
  fresh();
  spin();
  EXPECT_EQ(runtime_.history(), (Calls{"collect web"}));
}

}  // namespace
}  // namespace wherry::test
