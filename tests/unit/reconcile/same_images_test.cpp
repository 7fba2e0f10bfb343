// What goes on when a document writes an image in another way.

#include <gmock/gmock.h>

#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"

namespace wherry::test {
namespace {

using Op = runtime::FakeRuntime::Op;
using std::chrono::seconds;

class SameImagesTest : public BenchTest {
 protected:
  SameImagesTest() {
    first_ = images_.add("img:1");
    pinned_ = "img@" + first_.digest;
    images_.alias(first_, pinned_, true);
  }
  static std::string deployed(const std::string& image, const std::string& strategy = "") {
    return deployment("web", 3, image, strategy);
  }
  std::vector<uint32_t> replicas() { return {pid("web-0"), pid("web-1"), pid("web-2")}; }
  size_t stops() const {
    return runtime_.count(Op::SignalContainer) + runtime_.count(Op::RemovePod);
  }

  runtime::Image first_;
  std::string pinned_;  // of the same image
};

TEST_F(SameImagesTest, TheDigestThatATagLeadsToChangesNothing) {
  apply(document(1, {pod("a", "img:1")}));
  const uint32_t before = pid("a");
  apply(document(2, {pod("a", pinned_)}));
  EXPECT_EQ(pid("a"), before);
  EXPECT_EQ(workload("a").phase, Phase::Running);
  EXPECT_EQ(desired().revision, 2u);
  EXPECT_EQ(desired().state, "Applied");
  EXPECT_TRUE(records_.superseded.empty()) << "the version before is not needed any more";
  // Neither a later life of the agent nor a document that says the same again.
  fresh();
  spin();
  EXPECT_EQ(pid("a"), before);
  EXPECT_EQ(workload("a").phase, Phase::Running);
  apply(document(3, {pod("a", pinned_)}));
  EXPECT_EQ(records_.same_image_rows.size(), 1u);
  apply(document(4, {pod("a", "img:1")}));
  EXPECT_EQ(pid("a"), before);
  EXPECT_TRUE(records_.same_image_rows.empty()) << "it is as it was";
  EXPECT_EQ(stops(), 0u);
}

TEST_F(SameImagesTest, WhatEndsIsStartedAsItIsWrittenNow) {
  apply(document(1, {pod("a", "img:1")}));
  apply(document(2, {pod("a", pinned_)}));
  ASSERT_TRUE(runtime_.exit_container("a", "app", 1));
  advance(seconds(15));
  EXPECT_EQ(workload("a").containers[0].image, pinned_);
  EXPECT_EQ(workload("a").containers[0].restarts, 1u) << "it is the same Pod";
  EXPECT_EQ(runtime_.count(Op::RemovePod), 0u);
}

TEST_F(SameImagesTest, AnythingElseThatChangesWithItReplaces) {
  apply(document(1, {pod("a", "img:1")}));
  const uint32_t before = pid("a");
  apply(document(2, {pod("a", pinned_ + "\", workingDir: \"/srv")}));
  EXPECT_NE(pid("a"), before);
  // And what changes later, against the version that runs.
  apply(document(3, {pod("a", "img:1\", workingDir: \"/srv")}));
  const uint32_t second = pid("a");
  apply(document(4, {pod("a", pinned_ + "\", workingDir: \"/srv")}));
  EXPECT_EQ(pid("a"), second);
  apply(document(5, {pod("a", pinned_ + "\", workingDir: \"/opt")}));
  EXPECT_NE(pid("a"), second);
  // Whatever it went by before.
  const uint32_t third = pid("a");
  apply(document(6, {pod("a", pinned_ + "\", workingDir: \"/srv")}));
  EXPECT_NE(pid("a"), third);
  EXPECT_EQ(desired().state, "Applied");
}

TEST_F(SameImagesTest, WhatAPodWasKnownByEndsWithIt) {
  apply(document(1, {pod("a", "img:1")}));
  apply(document(2, {pod("a", pinned_)}));
  images_.add("img:2");
  images_.alias(first_, "img:same", true);
  apply(document(3, {pod("a", "img:2")}));
  EXPECT_TRUE(records_.same_image_rows.empty());
  apply(document(4, {pod("a", "img:same")}));
  const uint32_t before = pid("a");
  apply(document(5, {pod("a", pinned_)}));
  EXPECT_EQ(pid("a"), before);
  fresh();
  spin();
  EXPECT_EQ(pid("a"), before);
  EXPECT_EQ(desired().state, "Applied");
  // Removed and made anew, it bears what its document says.
  ASSERT_TRUE(runtime_.remove_pod("a"));
  advance(seconds(600));
  EXPECT_GT(pid("a"), before);
  EXPECT_TRUE(records_.same_image_rows.empty());
  const uint32_t anew = pid("a");
  fresh();
  spin();
  EXPECT_EQ(pid("a"), anew);
}

TEST_F(SameImagesTest, ADocumentThatComesBackToATagAsksAgain) {
  images_.alias(first_, "img:latest", true);
  mailbox_.post([](Mail& mail) { mail.images_changed = true; });
  apply(document(1, {pod("a", "img:latest")}));
  const uint32_t before = pid("a");
  apply(document(2, {pod("a", pinned_)}));
  EXPECT_EQ(pid("a"), before);
  images_.publish("img:latest", "newer");
  apply(document(3, {pod("a", "img:latest")}));
  EXPECT_GT(pid("a"), before) << "it is another image by now";
  EXPECT_EQ(desired().state, "Applied");
}

TEST_F(SameImagesTest, ItStandsInForALaterVersionThatCannotStart) {
  apply(document(1, {pod("a", "img:1")}));
  apply(document(2, {pod("a", pinned_)}));
  const uint32_t before = pid("a");
  images_.fail_pull(Error(Code::Unavailable, "no route to host"), 1000);
  apply(document(3, {pod("a", "img:2")}));
  fresh();
  spin();
  EXPECT_EQ(pid("a"), before);
  ASSERT_TRUE(runtime_.exit_container("a", "app", 1));
  advance(seconds(15));
  EXPECT_GT(pid("a"), before) << "it is supervised";
  EXPECT_EQ(runtime_.observe()->at(0).containers.at(0).image, pinned_);
}

TEST_F(SameImagesTest, ATagThatIsNotHereIsPulledBeforeItIsKnown) {
  apply(document(1, {pod("a", "img:1"), pod("b", "img:1")}));
  const uint32_t first = pid("a"), second = pid("b");
  images_.alias(first_, "img:same", false);
  images_.publish("img:other");
  apply(document(2, {pod("a", "img:same"), pod("b", "img:other")}));
  EXPECT_EQ(images_.pulls("img:same"), 1u);
  EXPECT_EQ(pid("a"), first);
  EXPECT_NE(pid("b"), second) << "this one is another";
  EXPECT_EQ(desired().state, "Applied");
}

TEST_F(SameImagesTest, WhereItIsAlwaysAskedForWhatTheRegistrySaysDecides) {
  apply(document(1, {pod("a", "img:1"), pod("b", "img:1")}));
  const uint32_t first = pid("a"), second = pid("b");
  images_.alias(first_, "img:latest", true);
  images_.alias(first_, "old:latest", true);
  images_.publish("old:latest", "newer");
  mailbox_.post([](Mail& mail) { mail.images_changed = true; });
  apply(document(2, {pod("a", "img:latest"), pod("b", "old:latest")}));
  EXPECT_EQ(pid("a"), first);
  EXPECT_NE(pid("b"), second);
  EXPECT_EQ(images_.pulls("img:latest"), 1u);
  EXPECT_EQ(workload("b").containers[0].image, "old:latest");
}

TEST_F(SameImagesTest, WithoutARegistryTheOneBeforeGoesOn) {
  apply(document(1, {pod("a", "img:1")}));
  const uint32_t before = pid("a");
  images_.alias(first_, "img:same", false);
  images_.fail_pull(Error(Code::Unavailable, "no route to host"), 2);
  apply(document(2, {pod("a", "img:same")}));
  fresh();
  spin();
  EXPECT_EQ(pid("a"), before);
  EXPECT_NE(desired().state, "Applied");
  advance(seconds(600));
  EXPECT_EQ(pid("a"), before);
  EXPECT_EQ(desired().state, "Applied");
}

TEST_F(SameImagesTest, ATagThatMovesLaterReplaces) {
  apply(document(1, {pod("a", pinned_)}));
  const uint32_t before = pid("a");
  apply(document(2, {pod("a", "img:1")}));
  EXPECT_EQ(pid("a"), before);
  images_.add("img:1", "newer");
  mailbox_.post([](Mail& mail) { mail.images_changed = true; });
  spin();
  EXPECT_NE(pid("a"), before);
}

TEST_F(SameImagesTest, ReplicasGoOnWhateverTheStrategy) {
  for (const std::string strategy : {"", "strategy: { type: Recreate }, "}) {
    apply(document(desired().revision + 1, {deployed("img:1", strategy)}));
    const auto before = replicas();
    apply(document(desired().revision + 1, {deployed(pinned_, strategy)}));
    EXPECT_EQ(replicas(), before) << strategy;
    EXPECT_EQ(controller("Deployment", "web").updated, 3u) << strategy;
    EXPECT_EQ(controller("Deployment", "web").phase, "Available") << strategy;
    fresh();
    spin();
    EXPECT_EQ(replicas(), before) << strategy;
    EXPECT_EQ(desired().state, "Applied") << strategy;
  }
}

TEST_F(SameImagesTest, ReplicasThatWereReplacedBetweenGoOnToo) {
  images_.add("img:2");
  images_.alias(first_, "img:same", true);
  for (const std::string strategy : {"", "strategy: { type: Recreate }, "}) {
    for (const std::string& image :
         {std::string("img:1"), pinned_, std::string("img:2"), std::string("img:same")}) {
      apply(document(desired().revision + 1, {deployed(image, strategy)}));
    }
    const auto before = replicas();
    apply(document(desired().revision + 1, {deployed(pinned_, strategy)}));
    EXPECT_EQ(replicas(), before) << strategy;
    EXPECT_EQ(controller("Deployment", "web").phase, "Available") << strategy;
    fresh();
    spin();
    EXPECT_EQ(replicas(), before) << strategy;
    EXPECT_EQ(desired().state, "Applied") << strategy;
  }
}

TEST_F(SameImagesTest, NothingIsRememberedOfWhatIsGone) {
  apply(document(1, {pod("a", "img:1")}));
  apply(document(2, {pod("a", pinned_)}));
  EXPECT_EQ(records_.same_image_rows.size(), 1u);
  apply(document(3, {}));
  EXPECT_TRUE(records_.same_image_rows.empty());
}

}  // namespace
}  // namespace wherry::test
