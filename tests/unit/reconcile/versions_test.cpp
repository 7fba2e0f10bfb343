// What runs while the next version of a workload cannot: also after the agent or the device was
// started again.

#include "tests/unit/reconcile/bench.h"

namespace wherry::test {
namespace {

using Op = runtime::FakeRuntime::Op;
using std::chrono::seconds;

class VersionsTest : public BenchTest {
 protected:
  // Nobody can be asked for the next image.
  void without_network() { images_.fail_pull(Error(Code::Unavailable, "no route to host"), 1000); }

  // Power is lost and comes back.
  void reboot() {
    runtime_.reboot();
    boot_ += "+";
    fresh();
    spin();
  }
  void import(const std::string& image) {
    images_.add(image);
    mailbox_.post([](Mail& mail) { mail.images_changed = true; });  // as the API says it
  }
  // Of the container that is there.
  std::string image(const std::string& name) {
    const auto pods = runtime_.observe();
    for (const runtime::PodStatus& pod : *pods) {
      if (pod.name == name && !pod.containers.empty()) return pod.containers[0].image;
    }
    return "";
  }
};

TEST_F(VersionsTest, TheOneBeforeRunsAgainAfterAReboot) {
  apply(document(1, {pod("a", "img:1"), pod("b", "img:1")}));
  without_network();
  apply(document(2, {pod("a", "img:2"), pod("b", "img:1")}));
  reboot();
  EXPECT_GT(pid("a"), 0u);
  EXPECT_EQ(image("a"), "img:1");
  EXPECT_EQ(runtime_.count(Op::RemovePod), 0u);
  EXPECT_EQ(desired().revision, 2u);
  // As often as it happens, and whatever else is wanted meanwhile.
  apply(document(3, {pod("a", "img:3"), pod("b", "img:1")}));
  reboot();
  reboot();
  EXPECT_GT(pid("a"), 0u);
  EXPECT_EQ(image("a"), "img:1");
  EXPECT_EQ(records_.superseded.size(), 1u) << "nobody needs the one between";

  import("img:3");
  advance(seconds(10));
  EXPECT_EQ(image("a"), "img:3");
  EXPECT_EQ(workload("a").phase, Phase::Running);
  EXPECT_TRUE(records_.superseded.empty());
}

TEST_F(VersionsTest, TheOneBeforeIsSupervisedByALaterLifeOfTheAgent) {
  apply(document(1, {pod("a", "img:1")}));
  without_network();
  apply(document(2, {pod("a", "img:2")}));
  const uint32_t before = pid("a");
  fresh();
  spin();
  EXPECT_EQ(pid("a"), before) << "it is the same";
  ASSERT_TRUE(runtime_.exit_container("a", "app", 1));
  advance(seconds(15));
  EXPECT_GT(pid("a"), before) << "it is started again";
  EXPECT_EQ(image("a"), "img:1");
}

// Its container is removed before the next one is made: the power may go between the two.
TEST_F(VersionsTest, TheOneBeforeComesBackThoughNothingIsLeftOfIt) {
  apply(document(1, {pod("a", "img:1"), pod("b", "img:1")}));
  without_network();
  apply(document(2, {pod("a", "img:2"), pod("b", "img:1")}));
  ASSERT_TRUE(runtime_.remove_pod("a"));
  reboot();
  EXPECT_EQ(image("a"), "img:1");
  // And in the same life, where the next start fails.
  runtime_.fail_next(Op::StartContainer, Error(Code::ResourceExhausted, "no space"), 1, "a");
  ASSERT_TRUE(runtime_.remove_pod("a"));
  advance(seconds(600));  // it is noticed
  EXPECT_EQ(workload("a").containers[0].state, "waiting");
  advance(seconds(60));
  EXPECT_EQ(image("a"), "img:1");
  EXPECT_GT(pid("a"), 0u);
}

TEST_F(VersionsTest, ADocumentThatCameBeforeTheFirstLookKnowsTheOneBeforeToo) {
  apply(document(1, {pod("a", "img:1")}));
  without_network();
  runtime_.disconnect();
  fresh();
  spin();
  apply(document(2, {pod("a", "img:2")}));
  runtime_.connect();
  advance(seconds(120));
  runtime_.reboot();
  advance(seconds(600));
  EXPECT_EQ(image("a"), "img:1");
  EXPECT_GT(pid("a"), 0u);
  EXPECT_EQ(records_.superseded.size(), 1u);
}

TEST_F(VersionsTest, WhatCanStartIsStartedAnewAfterAReboot) {
  apply(document(1, {pod("a", "img:1")}));
  without_network();
  apply(document(2, {pod("a", "img:2")}));
  images_.add("img:2");  // imported, and the power goes
  reboot();
  EXPECT_EQ(image("a"), "img:2");
  EXPECT_TRUE(records_.superseded.empty());
}

TEST_F(VersionsTest, WithDeleteFirstTheOneBeforeIsGone) {
  const std::string first = ", annotations: { wherry/update-strategy: delete-first }";
  apply(document(1, {pod("a", "img:1", "", first)}));
  without_network();
  apply(document(2, {pod("a", "img:2", "", first)}));
  reboot();
  EXPECT_EQ(pid("a"), 0u);
  EXPECT_TRUE(records_.superseded.empty());
}

TEST_F(VersionsTest, NothingIsKeptOfWhatIsNotNeeded) {
  apply(document(1, {pod("a", "img:1"), pod("b", "img:1")}));
  apply(document(2, {pod("a", "img:1")}));
  apply(document(3, {pod("a", "img:1", ", terminationGracePeriodSeconds: 5")}));
  EXPECT_TRUE(records_.superseded.empty());
  // A full disk keeps it until there is room again.
  without_network();
  apply(document(4, {pod("a", "img:2")}));
  EXPECT_EQ(records_.superseded.size(), 1u);
  records_.works = false;
  import("img:2");
  advance(seconds(10));
  EXPECT_EQ(image("a"), "img:2");
  EXPECT_EQ(records_.superseded.size(), 1u);
  records_.works = true;
  advance(seconds(60));
  EXPECT_TRUE(records_.superseded.empty());
}

TEST_F(VersionsTest, ADeploymentKeepsItsOldPodsAcrossAReboot) {
  const auto deployment = [](uint64_t revision, const std::string& image) {
    return document(
        revision,
        {"{ apiVersion: apps/v1, kind: Deployment, metadata: { name: web }, spec: { replicas: 2, "
         "selector: { matchLabels: { app: web } }, template: { metadata: { labels: { app: web } }, "
         "spec: { hostNetwork: true, containers: [{ name: app, image: \"" +
         image + "\" }] } } } }\n"});
  };
  apply(deployment(1, "img:1"));
  without_network();
  apply(deployment(2, "img:2"));
  reboot();
  for (const char* name : {"web-0", "web-1"}) {
    EXPECT_EQ(image(name), "img:1");
    EXPECT_GT(pid(name), 0u);
  }
}

class TightVersionsTest : public VersionsTest {
 protected:
  TightVersionsTest() {
    facts_.memory_bytes = int64_t{1} << 30;
    fresh();
    spin();
  }
  static std::string sized(const std::string& name, const std::string& image, int mib) {
    return "{ apiVersion: v1, kind: Pod, metadata: { name: " + name +
           " }, spec: { hostNetwork: true, containers: [{ name: app, image: \"" + image +
           "\", resources: { requests: { memory: " + std::to_string(mib) + "Mi } } }] } }\n";
  }
};

TEST_F(TightVersionsTest, TheOneBeforeRunsWhereTheNextHasNoRoom) {
  apply(document(1, {sized("a", "img:1", 400), sized("b", "img:1", 300)}));
  images_.add("img:2");
  apply(document(2, {sized("a", "img:2", 900), sized("b", "img:1", 300)}));
  EXPECT_EQ(image("a"), "img:1");
  reboot();
  EXPECT_EQ(image("a"), "img:1");
  EXPECT_GT(pid("a"), 0u);
  EXPECT_GT(pid("b"), 0u);
  EXPECT_EQ(workload("a").reason, "InsufficientMemory");
  EXPECT_EQ(workload("b").phase, Phase::Running) << "nobody takes its place";
}

}  // namespace
}  // namespace wherry::test
