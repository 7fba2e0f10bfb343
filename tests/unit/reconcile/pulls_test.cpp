// When pulls are tried again, and when what they left is dropped.

#include <gmock/gmock.h>

#include "tests/unit/reconcile/bench.h"

namespace wherry::test {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class PullsTest : public BenchTest {};

TEST_F(PullsTest, ARegistryThatAsksForPatienceGetsIt) {
  images_.fail_pull(Error(Code::ResourceExhausted, "too many").with_retry_after(seconds(600)));
  images_.publish("img:2");
  apply(document(1, {pod("a", "img:2")}));
  EXPECT_EQ(images_.pulls("img:2"), 1u);
  advance(seconds(599));
  EXPECT_EQ(images_.pulls("img:2"), 1u);
  advance(seconds(62));
  EXPECT_EQ(images_.pulls("img:2"), 2u);
  EXPECT_EQ(workload("a").phase, Phase::Running);
}

TEST_F(PullsTest, ARegistryThatDoesNotAnswerLeavesRoomForThePullsOfOthers) {
  std::vector<std::string> pods;
  for (int i = 0; i < 40; ++i) {
    const std::string image = "dead.local/x" + std::to_string(i) + ":1";
    images_.publish(image);
    pods.push_back(pod("dead-" + std::to_string(i), image));
  }
  images_.publish("good.local/a:1");
  pods.push_back(pod("good", "good.local/a:1"));
  publish(document(1, pods));
  spin(false);
  EXPECT_EQ(lanes_.waiting(Lane::Pull), 17u) << "of 32 places";
  spin();
  EXPECT_EQ(images_.pulls("dead.local/x39:1"), 1u) << "in the end everybody is asked for";
}

// Bytes that trickle in are no reason to have all the places.
TEST_F(PullsTest, RegistriesThatAreSlowLeaveRoomForThePullsOfOthers) {
  std::vector<std::string> pods;
  uint64_t revision = 0;
  const auto add = [&](const std::string& host, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string image = host + "/x" + std::to_string(i) + ":1";
      images_.publish(image);
      pods.push_back(pod(host.substr(0, host.find('.')) + std::to_string(i), image));
    }
    publish(document(++revision, pods));
    spin(false);
    for (int i = 0; i < count; ++i) {
      mailbox_.post_progress(host + "/x" + std::to_string(i) + ":1", {1, 100, 1});
    }
    spin(false);
  };
  add("slow.local", 40);
  EXPECT_EQ(lanes_.waiting(Lane::Pull), 16u);
  add("slower.local", 40);
  EXPECT_EQ(lanes_.waiting(Lane::Pull), 24u);
  add("good.local", 1);
  EXPECT_EQ(lanes_.waiting(Lane::Pull), 25u);
  spin();
  EXPECT_EQ(workload("good0").phase, Phase::Running);
  EXPECT_EQ(images_.pulls("slow.local/x39:1"), 1u) << "in the end everybody is asked for";
}

TEST_F(PullsTest, ButNotForEver) {
  images_.fail_pull(Error(Code::Unavailable, "maintenance").with_retry_after(seconds(86'400)));
  images_.publish("img:2");
  apply(document(1, {pod("a", "img:2")}));
  advance(std::chrono::minutes(67));
  EXPECT_EQ(images_.pulls("img:2"), 2u);
}

TEST_F(PullsTest, AnAttemptThatBroughtSomethingCountsAsAFirstFailure) {
  Ledger ledger(records_, clock_);
  for (int i = 0; i < 5; ++i) ledger.pulled({"x", fail(Code::Unavailable, "broken")}, false);
  EXPECT_EQ(ledger.pulls().at("x").trouble.failures, 5u);
  ledger.pulled({"x", fail(Code::Unavailable, "broken"), true}, false);
  const Trouble& trouble = ledger.pulls().at("x").trouble;
  EXPECT_EQ(trouble.failures, 1u);
  EXPECT_LE(trouble.not_before - clock_.now(), seconds(10));
}

TEST_F(PullsTest, WhatAPullLeftIsKeptForAsLongAsItsImageIsWanted) {
  EXPECT_THAT(images_.dropped(), ElementsAre(IsEmpty())) << "what an earlier life left";
  images_.fail_pull(Error(Code::Unavailable, "broken"), 100);
  apply(document(1, {pod("a", "img:2"), pod("b", "img:1")}));
  for (size_t i = 1; i < images_.dropped().size(); ++i) {
    EXPECT_THAT(images_.dropped()[i], testing::Contains("img:2"));
  }
  apply(document(2, {pod("b", "img:1")}));
  EXPECT_THAT(images_.dropped().back(), IsEmpty());
  const size_t before = images_.dropped().size();
  advance(seconds(3600));
  EXPECT_EQ(images_.dropped().size(), before) << "nothing new to say";
}

// Their leases are nobody's once they have ended, and so are those that containerd was not there to
// be told about.
TEST_F(PullsTest, WhatPullsByHandAndImportsLeftGoesWhenTheyEndAndWhenContainerdIsBack) {
  images_.fail_pull(Error(Code::Unavailable, "broken"), 100);
  apply(document(1, {pod("a", "img:2")}));
  const size_t before = images_.dropped().size();
  mailbox_.post([](Mail& mail) { mail.images_changed = true; });  // as the API says it
  spin();
  ASSERT_EQ(images_.dropped().size(), before + 1);
  EXPECT_THAT(images_.dropped().back(), ElementsAre("img:2"));
  mailbox_.post_event({runtime::Event::Kind::Disconnected, "", "", "gone"});
  spin();
  mailbox_.post_event({runtime::Event::Kind::Connected, "", "", ""});
  spin();
  EXPECT_EQ(images_.dropped().size(), before + 2);
  EXPECT_THAT(images_.dropped().back(), ElementsAre("img:2"));
}

TEST_F(PullsTest, ANewLifeKeepsWhatItsDocumentsName) {
  images_.fail_pull(Error(Code::Unavailable, "broken"), 100);
  apply(document(1, {pod("a", "img:2")}));
  const size_t before = images_.dropped().size();
  fresh();
  spin();
  ASSERT_GT(images_.dropped().size(), before);
  for (size_t i = before; i < images_.dropped().size(); ++i) {
    EXPECT_THAT(images_.dropped()[i], ElementsAre("img:2"));
  }
}

TEST_F(PullsTest, WhoNeverAsksIsNotToldOfWhatOthersGot) {
  images_.fail_pull(Error(Code::NotFound, "no such image"), 100);
  apply(document(1, {pod("asks", "img:2"), pod("never", "img:2\", imagePullPolicy: \"Never")}));
  EXPECT_EQ(workload("never").reason, "ErrImageNeverPull");
  EXPECT_GE(records_.events("ErrImagePull"), 1u);
  for (const EventRecord& event : records_.log) EXPECT_NE(event.workload, "never");
}

}  // namespace
}  // namespace wherry::test
