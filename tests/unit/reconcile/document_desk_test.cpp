// Which documents are accepted, and what a refusal says.

#include "agent/reconcile/document_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/log.h"
#include "tests/unit/reconcile/documents.h"
#include "tests/unit/reconcile/memory_records.h"

namespace wherry::test {
namespace {

constexpr const char* kDevice = "devices/d";
constexpr const char* kGroup = "groups/g";

class DeskTest : public testing::Test {
 protected:
  DeskTest() {
    log_set_level(LogLevel::Off);
    fresh();
    desk_->take_manifests({});
  }
  // A new life with the same records.
  void fresh() {
    desk_ = std::make_unique<DocumentDesk>(std::vector<std::string>{kGroup, kDevice},
                                           DeviceFacts{"host", "amd64", {}}, records_, clock_);
    EXPECT_TRUE(desk_->load());
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const WorkloadSpec& workload : desk_->merged().workloads) {
      names.push_back(workload.name());
    }
    return names;
  }
  DesiredView view(const std::string& source) const {
    for (DesiredView& view : desk_->views()) {
      if (view.source == source) return view;
    }
    return {};
  }
  // "path: message" of the first error of the rejection, or "".
  std::string refusal(const std::string& source = kDevice) const {
    const auto rejected = view(source).rejected;
    if (!rejected || rejected->errors.empty()) return {};
    return rejected->errors[0].path + ": " + rejected->errors[0].message;
  }

  FakeClock clock_;
  MemoryRecords records_;
  std::unique_ptr<DocumentDesk> desk_;
};

TEST_F(DeskTest, AGoodDocumentIsStoredBeforeItIsWanted) {
  EXPECT_TRUE(desk_->receive(kDevice, document(1, {pod("web")})));
  EXPECT_EQ(names(), std::vector<std::string>{"web"});
  EXPECT_EQ(records_.stored.at(kDevice).revision, 1u);
  EXPECT_EQ(records_.events("DocumentAccepted"), 1u);
  EXPECT_EQ(view(kDevice).revision, 1u);
  EXPECT_FALSE(view(kDevice).rejected);
}

TEST_F(DeskTest, TheSameAgainIsNothingAndTakesBackARejectedOne) {
  const std::string good = document(1, {pod("web")});
  desk_->receive(kDevice, good);
  const size_t writes = records_.writes;
  EXPECT_FALSE(desk_->receive(kDevice, good));
  desk_->receive(kDevice, "nonsense");
  EXPECT_TRUE(view(kDevice).rejected);
  EXPECT_FALSE(desk_->receive(kDevice, good));
  EXPECT_FALSE(view(kDevice).rejected);
  EXPECT_EQ(records_.writes, writes);
}

TEST_F(DeskTest, AnEmptyPayloadIsNoNews) {
  desk_->receive(kDevice, document(1, {pod("web")}));
  EXPECT_FALSE(desk_->receive(kDevice, ""));
  EXPECT_EQ(names().size(), 1u);
}

TEST_F(DeskTest, NoItemsRemoveEverything) {
  desk_->receive(kDevice, document(1, {pod("web")}));
  EXPECT_TRUE(desk_->receive(kDevice, document(2, {})));
  EXPECT_TRUE(names().empty());
}

TEST_F(DeskTest, RevisionsMustGrow) {
  desk_->receive(kDevice, document(5, {pod("web")}));
  EXPECT_FALSE(desk_->receive(kDevice, document(5, {pod("other")})));
  EXPECT_TRUE(refusal().starts_with("metadata.revision: stale")) << refusal();
  EXPECT_FALSE(desk_->receive(kDevice, document(4, {pod("other")})));
  EXPECT_TRUE(refusal().starts_with("metadata.revision: stale")) << refusal();
  EXPECT_EQ(view(kDevice).rejected->revision, 4u);
  EXPECT_EQ(view(kDevice).revision, 5u);
  EXPECT_EQ(names(), std::vector<std::string>{"web"});
  EXPECT_TRUE(desk_->receive(kDevice, document(6, {pod("other")})));
  EXPECT_FALSE(view(kDevice).rejected);
  EXPECT_TRUE(desk_->receive(kGroup, document(1, {pod("grouped")}))) << "each topic counts alone";
}

TEST_F(DeskTest, TheTargetMustBeTheTopic) {
  EXPECT_FALSE(desk_->receive(kDevice, document(1, {pod("web")}, "target: devices/other")));
  EXPECT_TRUE(refusal().starts_with("metadata.target: ")) << refusal();
  EXPECT_TRUE(desk_->receive(kDevice, document(1, {pod("web")}, "target: devices/d")));
}

TEST_F(DeskTest, AnExpiredDocumentIsRefusedUntilTheClockIsRight) {
  const std::string limited = document(1, {pod("web")}, "expires: 2026-01-01T00:00:00Z");
  EXPECT_FALSE(desk_->receive(kDevice, limited));
  EXPECT_TRUE(refusal().starts_with("metadata.expires: ")) << refusal();
  clock_.set_wall(*parse_rfc3339("2025-01-01T00:00:00Z"));
  EXPECT_TRUE(desk_->receive(kDevice, limited));
  // Once accepted it stays, whatever the clock says.
  clock_.set_wall(*parse_rfc3339("2027-01-01T00:00:00Z"));
  fresh();
  EXPECT_EQ(names().size(), 1u);
}

TEST_F(DeskTest, ARejectionIsNotedOnceForTheSameBytes) {
  for (int i = 0; i < 3; ++i) desk_->receive(kDevice, "nonsense");
  EXPECT_EQ(desk_->take_events().size(), 1u);
}

TEST_F(DeskTest, LaterSourcesReplaceEarlierOnes) {
  desk_->receive(kDevice, document(1, {pod("web", "img:device")}));
  desk_->receive(kGroup, document(1, {pod("web", "img:group"), pod("other")}));
  ASSERT_EQ(desk_->merged().workloads.size(), 2u);
  EXPECT_EQ(desk_->merged().workloads[1].pod.containers[0].image, "img:device");
  EXPECT_EQ(desk_->merged().workloads[1].source, kDevice);
}

TEST_F(DeskTest, AConflictIsRefusedAndTriedAgainWhenAnotherSourceChanges) {
  EXPECT_FALSE(desk_->receive(kDevice, document(1, {dependent("web", "base")})));
  EXPECT_NE(refusal().find("base"), std::string::npos) << refusal();
  const auto events = desk_->take_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].message.find(kDevice), events[0].message.rfind(kDevice))
      << "the source is named once: " << events[0].message;
  EXPECT_TRUE(names().empty());
  EXPECT_TRUE(desk_->receive(kGroup, document(1, {pod("base")})));
  EXPECT_EQ(names().size(), 2u);
  EXPECT_FALSE(view(kDevice).rejected);
  EXPECT_EQ(records_.stored.size(), 2u);
}

TEST_F(DeskTest, TwoThatNeedEachOtherAreAcceptedTogether) {
  desk_->receive(kGroup, document(1, {pod("base")}));
  desk_->receive(kDevice, document(1, {dependent("web", "base")}));
  // The base moves from the group to the device: the group's document is wrong alone.
  EXPECT_FALSE(desk_->receive(kGroup, document(2, {})));
  EXPECT_TRUE(desk_->receive(kDevice, document(2, {dependent("web", "base"), pod("base")})));
  EXPECT_EQ(view(kGroup).revision, 2u);
  EXPECT_FALSE(view(kGroup).rejected);
}

TEST_F(DeskTest, AFullDiskAcceptsNothingAndIsTriedAgain) {
  records_.works = false;
  EXPECT_FALSE(desk_->receive(kDevice, document(1, {pod("web")})));
  EXPECT_NE(refusal().find("no space left"), std::string::npos) << refusal();
  EXPECT_FALSE(desk_->store_status());
  EXPECT_TRUE(names().empty());
  records_.works = true;
  EXPECT_FALSE(desk_->retry()) << "not yet";
  clock_.advance(*desk_->retry_at() - clock_.now());
  EXPECT_TRUE(desk_->retry());
  EXPECT_EQ(names().size(), 1u);
  EXPECT_TRUE(desk_->store_status());
  EXPECT_FALSE(desk_->retry_at());
  EXPECT_FALSE(view(kDevice).rejected);
}

TEST_F(DeskTest, ANewLifeKnowsWhatWasAccepted) {
  const std::string good = document(3, {pod("web")});
  desk_->receive(kDevice, good);
  fresh();
  EXPECT_EQ(names(), std::vector<std::string>{"web"});
  EXPECT_EQ(view(kDevice).revision, 3u);
  EXPECT_FALSE(desk_->receive(kDevice, good)) << "the retained message comes again";
  desk_->receive(kDevice, document(2, {}));
  EXPECT_TRUE(refusal().starts_with("metadata.revision: stale")) << refusal();
}

TEST_F(DeskTest, WhatIsNotKnownIsHeld) {
  EXPECT_EQ(desk_->held_sources(), (std::set<std::string>{kDevice, kGroup}));
  desk_->receive(kDevice, document(1, {}));
  EXPECT_EQ(desk_->held_sources(), std::set<std::string>{kGroup});
  // An accepted document that a later version of the agent cannot read any more.
  records_.stored[kDevice].payload = "apiVersion: wherry/v0\n";
  fresh();
  EXPECT_TRUE(desk_->held_sources().contains(kDevice));
  EXPECT_TRUE(desk_->held_sources().contains(kManifestsSource)) << "not read yet";
  EXPECT_FALSE(view(kDevice).errors.empty());
  EXPECT_EQ(view(kDevice).revision, 1u);
}

TEST_F(DeskTest, OnlyASourceThatMayHaveHadWorkloadsCountsAsUnread) {
  EXPECT_TRUE(desk_->unread_sources().empty()) << "nobody ever sent anything";
  desk_->receive(kDevice, document(1, {}));
  records_.stored[kDevice].payload = "apiVersion: wherry/v0\n";
  fresh();
  EXPECT_EQ(desk_->unread_sources(), (std::set<std::string>{kDevice, kManifestsSource}));
}

TEST_F(DeskTest, ASourceThatIsNoLongerConfiguredIsForgotten) {
  records_.stored["groups/old"] = {"groups/old", 1, "sha256:x", document(1, {pod("web")}), {}};
  fresh();
  EXPECT_EQ(records_.stored["groups/old"].payload, "");
  EXPECT_TRUE(names().empty());
  EXPECT_FALSE(desk_->held_sources().contains("groups/old"));
}

// What was published then, and signed, is no newer for that.
TEST_F(DeskTest, WhoComesBackToASourceKnowsWhatIsOld) {
  const auto live_in = [&](const std::vector<std::string>& sources) {
    desk_ =
        std::make_unique<DocumentDesk>(sources, DeviceFacts{"host", "amd64", {}}, records_, clock_);
    EXPECT_TRUE(desk_->load());
    desk_->take_manifests({});
  };
  EXPECT_TRUE(desk_->receive(kGroup, document(3, {pod("web")})));
  for (int i = 0; i < 2; ++i) live_in({kDevice});
  EXPECT_TRUE(names().empty());
  live_in({kGroup, kDevice});
  EXPECT_TRUE(names().empty()) << "until it is published again";
  EXPECT_FALSE(desk_->receive(kGroup, document(2, {pod("web")})));
  EXPECT_EQ(refusal(kGroup),
            "metadata.revision: stale: revision 3 was accepted before the device left groups/g; "
            "give a greater one");
  EXPECT_FALSE(desk_->receive(kGroup, document(3, {pod("other")})));
  EXPECT_TRUE(desk_->receive(kGroup, document(3, {pod("web")}))) << "it is retained there";
  live_in({kDevice});
  live_in({kGroup, kDevice});
  EXPECT_TRUE(desk_->receive(kGroup, document(4, {pod("other")})));
  EXPECT_EQ(names(), std::vector<std::string>{"other"});
}

TEST_F(DeskTest, WhatIsForOtherDevicesIsAWarning) {
  EXPECT_TRUE(desk_->receive(
      kGroup, document(1, {pod("web"),
                           pod("arm", "img:1", ", nodeSelector: { kubernetes.io/arch: arm64 }")})));
  EXPECT_EQ(names(), std::vector<std::string>{"web"});
  ASSERT_EQ(view(kGroup).warnings.size(), 1u);
  EXPECT_NE(view(kGroup).warnings[0].message.find("arm64"), std::string::npos);
  EXPECT_FALSE(view(kGroup).rejected);
}

TEST_F(DeskTest, LocalManifestsComeFirstAndBreakNothing) {
  EXPECT_TRUE(desk_->take_manifests({{{"a.yaml", pod("local")}}, ""}));
  EXPECT_EQ(names(), std::vector<std::string>{"local"});
  // Of two files with one object the later one counts, and that is said.
  const auto two = [](const char* image) { return pod("local", image); };
  EXPECT_TRUE(desk_->take_manifests({{{"a.yaml", two("img:1")}, {"b.yaml", two("img:2")}}, ""}));
  ASSERT_EQ(view(kManifestsSource).warnings.size(), 1u);
  EXPECT_EQ(view(kManifestsSource).warnings[0].path, "b.yaml");
  EXPECT_THAT(view(kManifestsSource).warnings[0].message, testing::HasSubstr("not that of a.yaml"));
  EXPECT_EQ(desk_->merged().workloads.at(0).pod.containers[0].image, "img:2");
  EXPECT_TRUE(desk_->take_manifests({{{"a.yaml", pod("local")}}, ""}));
  // One breaks: the last good one is kept, the other is taken.
  EXPECT_TRUE(desk_->take_manifests({{{"a.yaml", "kind: ["}, {"b.yaml", pod("more")}}, ""}));
  EXPECT_EQ(names(), (std::vector<std::string>{"local", "more"}));
  ASSERT_FALSE(view(kManifestsSource).errors.empty());
  EXPECT_EQ(view(kManifestsSource).errors[0].path, "a.yaml");
  EXPECT_FALSE(desk_->held_sources().contains(kManifestsSource));
  // The directory cannot be read: nothing changes.
  EXPECT_FALSE(desk_->take_manifests({{}, "read: input/output error"}));
  EXPECT_EQ(names().size(), 2u);
  // All are gone.
  EXPECT_TRUE(desk_->take_manifests({}));
  EXPECT_TRUE(names().empty());
}

TEST_F(DeskTest, ABrokenManifestThatWasNeverGoodHoldsItsSource) {
  desk_->take_manifests({{{"a.yaml", "kind: ["}}, ""});
  EXPECT_TRUE(desk_->held_sources().contains(kManifestsSource));
  desk_->take_manifests({{{"a.yaml", pod("local")}}, ""});
  EXPECT_FALSE(desk_->held_sources().contains(kManifestsSource));
}

TEST_F(DeskTest, ManifestsThatConflictAreNotTaken) {
  desk_->receive(kDevice, document(1, {pod("web")}));
  EXPECT_FALSE(desk_->take_manifests({{{"a.yaml", dependent("x", "nobody")}}, ""}));
  EXPECT_EQ(names(), std::vector<std::string>{"web"});
  EXPECT_FALSE(view(kManifestsSource).errors.empty());
}

}  // namespace
}  // namespace wherry::test
