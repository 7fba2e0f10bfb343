// Documents that are applied at the device itself.

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/reconcile/document_desk.h"
#include "base/log.h"
#include "tests/unit/reconcile/documents.h"
#include "tests/unit/reconcile/memory_records.h"

namespace wherry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kDevice = "devices/d";

class ApplyTest : public testing::Test {
 protected:
  ApplyTest() {
    log_set_level(LogLevel::Off);
    fresh();
  }
  // A new life with the same records.
  void fresh(bool signatures = false) {
    desk_ = std::make_unique<DocumentDesk>(
        std::vector<std::string>{kLocalSource, "groups/g", kDevice},
        DeviceFacts{"host", "amd64", {}}, records_, clock_, SignatureOptions{signatures, "/none"});
    EXPECT_TRUE(desk_->load());
    LocalManifests files;
    files.files = {{"a.yaml", pod("filed")}};
    desk_->take_manifests(files);
  }
  Applied apply(const std::string& payload, bool from_network = false) {
    const auto applied = desk_->apply({payload, from_network});
    EXPECT_TRUE(applied) << applied.error().full();
    return applied.value_or(Applied{});
  }
  // "path: message" of the first error.
  std::string refusal(const std::string& payload) {
    const size_t writes = records_.writes;
    const std::vector<std::string> before = names();
    const Applied applied = apply(payload);
    EXPECT_FALSE(applied.changed);
    EXPECT_EQ(records_.writes, writes) << "nothing has changed";
    EXPECT_EQ(names(), before);
    if (applied.errors.empty()) return {};
    return applied.errors[0].path + ": " + applied.errors[0].message;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const WorkloadSpec& each : desk_->merged().workloads) {
      names.push_back(each.name() + "@" + each.source);
    }
    return names;
  }

  FakeClock clock_;
  MemoryRecords records_;
  std::unique_ptr<DocumentDesk> desk_;
};

TEST_F(ApplyTest, WhatIsAcceptedIsOnDiskAndOutlivesTheAgent) {
  const std::string first = document(1, {pod("web")});
  const Applied applied = apply(first);
  EXPECT_TRUE(applied.changed);
  EXPECT_EQ(applied.revision, 1U);
  EXPECT_EQ(applied.digest, records_.stored.at(kLocalSource).digest);
  EXPECT_THAT(names(), ElementsAre("filed@manifests", "web@local"));
  fresh();
  EXPECT_THAT(names(), ElementsAre("filed@manifests", "web@local"));
  EXPECT_FALSE(apply(first).changed) << "it is accepted already";
  EXPECT_TRUE(apply(document(2, {})).changed);
  EXPECT_THAT(names(), ElementsAre("filed@manifests")) << "what others want is theirs";
  EXPECT_EQ(records_.events("DocumentAccepted"), 2U);
}

TEST_F(ApplyTest, ItComesAfterLocalManifestsAndBeforeTheFleet) {
  apply(document(1, {pod("filed", "img:2"), pod("web", "img:2")}));
  EXPECT_THAT(names(), ElementsAre("filed@local", "web@local"));
  desk_->receive(kDevice, document(1, {pod("web", "img:3")}));
  EXPECT_THAT(names(), ElementsAre("filed@local", "web@devices/d"));
  const Applied applied = apply(document(2, {pod("web", "img:4")}));
  EXPECT_TRUE(applied.changed);
  ASSERT_EQ(applied.warnings.size(), 1U) << "it has no effect, and that is told";
  EXPECT_THAT(applied.warnings[0].message, HasSubstr("Pod/web"));
  EXPECT_THAT(applied.warnings[0].message, HasSubstr(kDevice));
  EXPECT_THAT(names(), ElementsAre("filed@manifests", "web@devices/d"));
}

TEST_F(ApplyTest, ABadOneChangesNothingAndIsNotRemembered) {
  apply(document(5, {pod("web")}));
  EXPECT_THAT(refusal("nonsense"), HasSubstr("not a mapping"));
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal(document(5, {pod("other")})), HasSubstr("metadata.revision: stale"));
  EXPECT_THAT(refusal(document(4, {pod("other")})), HasSubstr("metadata.revision: stale"));
  EXPECT_THAT(refusal(document(6, {pod("x")}, "target: devices/other")),
              HasSubstr("metadata.target: is for devices/other, but this device is devices/d"));
  const std::string lonely = refusal(document(6, {dependent("x", "nobody")}));
  EXPECT_THAT(lonely, testing::StartsWith("spec.items[0]")) << "the path is the document's own";
  EXPECT_THAT(lonely, HasSubstr("nobody"));
  const Applied both =
      apply(document(6, {"{ apiVersion: v1, kind: Pod, metadata: { name: A }, spec: {} }\n"}));
  EXPECT_GT(both.errors.size(), 1U) << "all that is wrong is told at once";
  EXPECT_TRUE(desk_->take_events().empty());
  for (const DesiredView& view : desk_->views()) EXPECT_FALSE(view.rejected) << view.source;
  EXPECT_TRUE(apply(document(6, {pod("x")}, "target: devices/d")).changed);
}

TEST_F(ApplyTest, AFullDiskIsToldAndLeavesNothingBehind) {
  records_.works = false;
  const auto applied = desk_->apply({document(1, {pod("web")})});
  ASSERT_FALSE(applied);
  EXPECT_THAT(applied.error().full(), HasSubstr("no space left"));
  EXPECT_FALSE(desk_->retry_at()) << "whoever asked asks again";
  EXPECT_TRUE(desk_->store_status());
  records_.works = true;
  EXPECT_FALSE(desk_->retry());
  EXPECT_THAT(names(), ElementsAre("filed@manifests"));
  EXPECT_TRUE(apply(document(1, {pod("web")})).changed);
}

TEST_F(ApplyTest, OneThatOthersWaitForMakesRoomForThem) {
  desk_->receive(kDevice, document(1, {dependent("web", "base")}));
  EXPECT_THAT(names(), ElementsAre("filed@manifests"));
  EXPECT_TRUE(apply(document(1, {pod("base")})).changed);
  EXPECT_THAT(names(), ElementsAre("base@local", "filed@manifests", "web@devices/d"));
}

TEST_F(ApplyTest, SignaturesAreWantedOfTheNetworkAndNotOfTheDevicesOwnSocket) {
  fresh(true);
  const Applied refused = apply(document(1, {pod("web")}), true);
  ASSERT_EQ(refused.errors.size(), 1U);
  EXPECT_THAT(refused.errors[0].message, HasSubstr("not signed"));
  EXPECT_TRUE(apply(document(1, {pod("web")}), false).changed);
  fresh(false);
  EXPECT_TRUE(apply(document(2, {pod("web")}), true).changed);
}

TEST_F(ApplyTest, ConsideringChangesNothing) {
  apply(document(1, {pod("web")}));
  const size_t writes = records_.writes;
  const auto considered =
      desk_->consider(kDevice, document(1, {pod("web", "img:2"), pod("other")}), false);
  EXPECT_TRUE(considered.document.valid());
  EXPECT_EQ(considered.merged.workloads.size(), 3U);
  EXPECT_EQ(records_.writes, writes);
  EXPECT_THAT(names(), ElementsAre("filed@manifests", "web@local"));
}

}  // namespace
}  // namespace wherry::test
