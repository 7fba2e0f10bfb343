// Which images stay and why, and which go first.

#include "agent/reconcile/image_book.h"

#include <future>

#include <gmock/gmock.h>

#include "agent/reconcile/prune_order.h"
#include "tests/unit/reconcile/bench.h"
#include "tests/unit/reconcile/owners.h"
#include "tests/unit/reconcile/specs.h"

namespace wherry::test {
namespace {

using runtime::Image;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Images img-1 … with the digests sha256:1 …, as specs.h names them.
class KeepTest : public testing::Test {
 protected:
  Image& image(const std::string& number) {
    images_.push_back({"docker.io/library/img-" + number + ":latest", "sha256:" + number, 10});
    return images_.back();
  }
  void use(const std::string& workload, const std::string& version, const std::string& number) {
    uses_.push_back({workload,
                     "sha256:" + number,
                     "img-" + number,
                     workload.empty() ? "" : workload + "-" + version,
                     ++order_,
                     {}});
  }
  void runs(const std::string& name, const std::string& version) {
    const WorkloadSpec spec = workload(name, version);
    auto container = running(name, "app");
    container.image_digest = "sha256:" + version;
    observed_[name] = pod_of(spec, {container});
  }
  void wants(const std::string& name, const std::string& version) {
    desired_[name] = share(workload(name, version));
  }
  std::vector<ImageView> views() {
    return view_images(
        {images_, uses_, {desired_, observed_, memory_, pulls_, {}, held_, {}}, controllers_});
  }
  // Why the only image, or the one with this number, is kept.
  std::string kept(const std::string& number = "1") {
    for (const ImageView& view : views()) {
      if (view.digest == "sha256:" + number) return std::string(to_string(view.kept));
    }
    return "absent";
  }

  std::vector<Image> images_;
  std::vector<ImageUse> uses_;
  std::map<std::string, SpecPtr> desired_;
  std::map<std::string, runtime::PodStatus> observed_;
  std::map<std::string, WorkloadMemory> memory_;
  std::map<std::string, PullMemory> pulls_;
  std::set<std::string> held_;
  std::vector<ControllerImages> controllers_;
  uint64_t order_ = 0;
};

TEST_F(KeepTest, NobodyNeedsIt) {
  image("1");
  EXPECT_EQ(kept(), "unused");
}

TEST_F(KeepTest, ItRuns) {
  image("1");
  runs("web", "1");
  EXPECT_EQ(kept(), "running");
  EXPECT_THAT(views()[0].users, ElementsAre("web"));
}

TEST_F(KeepTest, ItIsWantedByAnyFormOfItsName) {
  image("1");
  wants("web", "1");
  EXPECT_EQ(kept(), "wanted");
  EXPECT_THAT(views()[0].users, ElementsAre("web"));
}

TEST_F(KeepTest, ItIsWantedByItsDigest) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  images_.push_back({"registry.local/a:1", digest, 10});
  WorkloadSpec spec = workload("web");
  spec.pod.containers[0].image = "registry.local/a@" + digest;
  desired_["web"] = share(spec);
  EXPECT_EQ(to_string(views()[0].kept), "wanted");
}

TEST_F(KeepTest, ATemplateWantsItAlsoWithoutPods) {
  image("1");
  controllers_.push_back({"nightly", {"img-0", "img-1"}});
  EXPECT_EQ(kept(), "wanted");
  EXPECT_THAT(views()[0].users, ElementsAre("nightly"));
  wants("nightly-1", "1");
  EXPECT_THAT(views()[0].users, ElementsAre("nightly-1"));
}

TEST_F(KeepTest, ItIsBeingPulled) {
  image("1");
  pulls_["img-1"].busy = true;
  EXPECT_EQ(kept(), "pulling");
}

TEST_F(KeepTest, ItWasPreloadedOrImported) {
  image("1").preloaded = true;
  image("2").imported = true;
  EXPECT_EQ(kept("1"), "preloaded");
  EXPECT_EQ(kept("2"), "imported");
}

TEST_F(KeepTest, TheVersionBeforeThePresentOneStaysAndNoOlderOne) {
  for (const char* number : {"1", "2", "3"}) {
    image(number);
    use("web", number, number);
  }
  wants("web", "3");
  runs("web", "3");
  EXPECT_EQ(kept("3"), "running");
  EXPECT_EQ(kept("2"), "previous");
  EXPECT_EQ(kept("1"), "unused");
}

TEST_F(KeepTest, WhatAWorkloadRanThatIsGoneIsNoPreviousVersion) {
  image("1");
  use("web", "1", "1");
  EXPECT_EQ(kept(), "unused");
}

TEST_F(KeepTest, WhileItIsNotKnownWhatASourceWantsWhatRanBeforeCountsAsWanted) {
  image("1");
  image("2");
  use("web", "1", "1");
  held_.insert("devices/d");
  EXPECT_EQ(kept("1"), "wanted");
  EXPECT_EQ(kept("2"), "unused") << "nobody ever used it";
}

TEST_F(KeepTest, TheOneUnusedForLongestGoesFirst) {
  for (const char* number : {"1", "2", "3", "4"}) image(number);
  use("", "", "3");
  use("old", "9", "1");
  use("", "", "2");
  use("old", "8", "3");  // used again
  runs("web", "4");
  using runtime::RemovableImage;
  EXPECT_THAT(removable_images(views(), uses_),
              ElementsAre(RemovableImage{"docker.io/library/img-1:latest", "sha256:1"},
                          RemovableImage{"docker.io/library/img-2:latest", "sha256:2"},
                          RemovableImage{"docker.io/library/img-3:latest", "sha256:3"}));
}

class PruneTest : public BenchTest {
 protected:
  void list() {
    mailbox_.post([](Mail& mail) { mail.images_changed = true; });
    spin();
  }
  std::string kept(const std::string& name) {
    for (const ImageView& view : board_.get()->images) {
      if (view.name == name) return std::string(to_string(view.kept));
    }
    return "absent";
  }
  std::vector<std::string> removable() {
    std::vector<std::string> names;
    for (const auto& image : keeping_.removable()) names.push_back(image.name);
    return names;
  }
  Result<runtime::PruneReport> prune() {
    auto answer = std::async(std::launch::async, [&] { return prune_now(mailbox_, {}); });
    while (answer.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) spin();
    return answer.get();
  }
};

TEST_F(PruneTest, RemovesOnDemandWhatNobodyNeedsAndNothingElse) {
  images_.add("old:1");
  apply(document(1, {pod("web")}));
  list();
  EXPECT_EQ(kept("img:1"), "running");
  EXPECT_EQ(kept("old:1"), "unused");
  const auto report = prune();
  ASSERT_TRUE(report) << report.error().full();
  ASSERT_EQ(report->removed.size(), 1u);
  EXPECT_EQ(report->removed[0].name, "old:1");
  spin();
  EXPECT_EQ(kept("old:1"), "absent");
  EXPECT_EQ(kept("img:1"), "running");
  EXPECT_EQ(records_.events("ImagesRemoved"), 1u);
}

TEST_F(PruneTest, ThePreviousVersionIsKnownAfterARestartOfTheAgent) {
  images_.add("img:2");
  images_.add("img:3");
  for (const char* image : {"img:1", "img:2", "img:3"}) {
    static uint64_t revision = 0;
    apply(document(++revision, {pod("web", image)}));
    advance(seconds(40));
  }
  ASSERT_EQ(workload("web").phase, Phase::Running);
  fresh();
  spin();
  list();
  EXPECT_EQ(kept("img:3"), "running");
  EXPECT_EQ(kept("img:2"), "previous");
  EXPECT_EQ(kept("img:1"), "unused");
}

TEST_F(PruneTest, APullWithoutRoomIsTriedAgainAsSoonAsThereIsSome) {
  images_.publish("big:1");
  images_.fill_disk(1);
  apply(document(1, {pod("web", "big:1")}));
  EXPECT_EQ(workload("web").phase, Phase::Running) << "img:1 was in its way and nobody needs it";
  EXPECT_EQ(kept("img:1"), "absent");
}

TEST_F(PruneTest, APullWithoutRoomSaysSoAndLooksForRoomNowAndThen) {
  images_.publish("big:1");
  images_.fill_disk(5);
  apply(document(1, {pod("web", "big:1")}));
  EXPECT_EQ(workload("web").reason, "InsufficientStorage");
  for (int i = 0; i < 20; ++i) advance(seconds(15));  // its backoff is minutes by now
  ASSERT_EQ(workload("web").reason, "InsufficientStorage");
  images_.fill_disk(0);
  advance(seconds(15));
  EXPECT_EQ(workload("web").phase, Phase::Running);
}

// Somebody brings an image by hand for what will be sent in a minute, while the disk is full.
TEST_F(PruneTest, WhatCameJustNowStaysUntilItWasNeededOrForAWhile) {
  list();
  images_.add("new:1");
  images_.add("newer:1");
  list();
  EXPECT_EQ(kept("new:1"), "unused");
  EXPECT_THAT(removable(), ElementsAre("img:1"));
  advance(std::chrono::minutes(5));
  EXPECT_THAT(removable(), ElementsAre("img:1"));
  apply(document(1, {pod("web", "new:1")}));
  advance(seconds(40));
  apply(document(2, {pod("web", "img:1")}));
  advance(seconds(40));
  EXPECT_EQ(kept("new:1"), "previous");
  apply(document(3, {}));
  advance(seconds(40));
  EXPECT_THAT(removable(), testing::Contains("new:1")) << "it has had its time";
  EXPECT_THAT(removable(), testing::Not(testing::Contains("newer:1")));
  advance(std::chrono::minutes(4));
  EXPECT_THAT(removable(), testing::Contains("newer:1"));
}

TEST_F(PruneTest, AnOrderTakesAlsoWhatCameJustNow) {
  list();
  images_.add("new:1");
  list();
  EXPECT_THAT(removable(), testing::Not(testing::Contains("new:1")));
  const auto report = prune();
  ASSERT_TRUE(report) << report.error().full();
  spin();
  EXPECT_EQ(kept("new:1"), "absent");
}

// No fleet document ever came; the workloads are in files on the device.
TEST_F(PruneTest, ImagesOfALocalWorkloadThatIsGoneAreNotWanted) {
  images_.add("old:1");
  const auto manifests = [&](std::vector<LocalManifest> files) {
    mailbox_.post([&](Mail& mail) { mail.manifests = LocalManifests{files, ""}; });
    spin();
  };
  manifests({{"a.yaml", pod("local", "old:1")}});
  ASSERT_EQ(workload("local").phase, Phase::Running);
  list();
  EXPECT_EQ(kept("old:1"), "running");
  manifests({});
  advance(seconds(60));
  list();
  EXPECT_EQ(kept("old:1"), "unused");
}

TEST_F(PruneTest, NothingIsWrittenForWhatGoesOn) {
  apply(document(1, {pod("web")}));
  list();
  const size_t writes = records_.use_writes;
  EXPECT_GT(writes, 0u);
  list();
  fresh();
  spin();
  list();
  EXPECT_EQ(records_.use_writes, writes) << "also after a restart";
}

TEST_F(PruneTest, ImagesOfTemplatesStayWhileTheyHaveNoPods) {
  for (const char* image : {"cron:1", "job:1", "none:1", "set:1", "old:1"}) images_.add(image);
  const auto of = [](std::string text, const std::string& image) {
    return text.replace(text.find("img:1"), 5, image);
  };
  apply(document(
      1,
      {of(cron_job("cron", "0 0 1 1 *"), "cron:1"), job("job", "suspend: true, ", "Never", "job:1"),
       deployment("none", 0, "none:1"), deployment("set", 0, "set:1", "", "StatefulSet")}));
  list();
  for (const char* image : {"cron:1", "job:1", "none:1", "set:1"}) {
    EXPECT_EQ(kept(image), "wanted") << image;
  }
  EXPECT_EQ(kept("old:1"), "unused");
  apply(document(2, {}));
  advance(seconds(60));
  list();
  EXPECT_EQ(kept("cron:1"), "unused");
}

TEST_F(PruneTest, AJobThatHasEndedKeepsItsImage) {
  images_.add("job:1");
  apply(document(1, {job("job", "ttlSecondsAfterFinished: 1, ", "Never", "job:1")}));
  ASSERT_TRUE(runtime_.exit_container("job", "app", 0));
  spin();
  advance(seconds(60));
  list();
  EXPECT_EQ(kept("job:1"), "wanted") << "its document is still there";
}

TEST_F(PruneTest, IsRefusedWhileItIsNotKnownWhatIsNeeded) {
  runtime_.disconnect();
  fresh();
  spin();
  const auto report = prune();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), Code::Unavailable);
}

}  // namespace
}  // namespace wherry::test
