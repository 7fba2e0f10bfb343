// Images on a filesystem that is too small for them, in a real containerd.

#include <fstream>
#include <sys/statvfs.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/containerd/image_backend.h"
#include "runtime/containerd/store_facts.h"
#include "runtime/image/image_service.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/registry.h"
#include "tests/support/test_image.h"
#include "tests/unit/image/scripted_registry.h"

namespace wherry::test {
namespace {

using runtime::Image;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kMi = 1 << 20;
constexpr const char* kNamespace = "wherry";

// Believes that everything lies on the big disk: somebody else fills the small one unseen.
class BlindFacts final : public runtime::StoreFacts {
 public:
  Result<runtime::StorePlaces> places() override { return runtime::StorePlaces{"/", "/"}; }
  Result<int64_t> ingested(const std::string&) override { return 0; }
  Result<int64_t> unpacked(const std::string&) override { return 0; }
};

class SpaceTest : public ::testing::Test {
 protected:
  SpaceTest() : containerd_(with_disk(80 * kMi)) {
    client_ = std::make_unique<runtime::Client>(
        runtime::ClientOptions{containerd_.socket(), kNamespace, "overlayfs"});
    backend_ = runtime::make_containerd_backend(*client_, clock_);
    facts_ = runtime::make_containerd_store_facts(*client_);
    options_.facts = facts_.get();
    options_.removable = [this] {
      std::vector<runtime::RemovableImage> all;
      // Not through the service, which waits until a removal is over.
      const auto records = backend_->images();
      for (const std::string& name : removable_) {
        for (const runtime::ImageRecord& record : *records) {
          if (record.name == name) all.push_back({name, record.target.digest});
        }
      }
      return all;
    };
    make_service();
  }
  static ContainerdOptions with_disk(int64_t bytes) {
    ContainerdOptions options;
    options.disk_bytes = bytes;
    return options;
  }
  void make_service() { service_ = std::make_unique<runtime::ImageService>(*backend_, options_); }

  // In the registry: an image whose own layer has so many bytes that do not compress.
  std::string publish(const std::string& name, uint64_t bytes) {
    ImageOptions options;
    options.extra_layers = {bytes};
    const std::string path = dir_ / (name + ".tar");
    make_busybox_archive(path, "registry.local/" + name + ":1", options);
    return registry_.push(path, name + ":1");
  }
  void pull(const std::string& reference) {
    const auto pulled = service_->pull({reference}, {});
    ASSERT_TRUE(pulled) << pulled.error().full();
  }
  std::string ctr(std::vector<std::string> arguments) {
    const CommandResult result = containerd_.ctr(kNamespace, std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }
  int64_t free_bytes() const {
    struct statvfs info {};
    EXPECT_EQ(statvfs(containerd_.root().c_str(), &info), 0);
    return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  }
  // Leaves about so many bytes on the disk.
  void fill_up(int64_t leave) {
    std::ofstream ballast(containerd_.root() + "/ballast", std::ios::binary);
    const std::string piece(kMi / 4, 'x');
    while (free_bytes() > leave + static_cast<int64_t>(piece.size()))
      ballast << piece << std::flush;
  }
  void free_up() { ASSERT_EQ(unlink((containerd_.root() + "/ballast").c_str()), 0); }
  std::vector<std::string> names(const std::vector<Image>& images) {
    std::vector<std::string> list;
    for (const Image& image : images) list.push_back(image.name);
    return list;
  }

  const TempDir dir_;
  const SystemClock clock_;
  ContainerdDaemon containerd_;
  Registry registry_;
  std::vector<std::string> removable_;
  runtime::ImageServiceOptions options_;
  std::unique_ptr<runtime::Client> client_;
  std::unique_ptr<runtime::ImageBackend> backend_;
  std::unique_ptr<runtime::StoreFacts> facts_;
  std::unique_ptr<runtime::ImageService> service_;
};

TEST_F(SpaceTest, ContainerdSaysWhereItKeepsThings) {
  const auto places = facts_->places();
  ASSERT_TRUE(places) << places.error().full();
  const std::string content = containerd_.root() + "/io.containerd.content.v1.content";
  // From 1.7 on it is made when it is first needed.
  EXPECT_THAT(places->content, testing::AnyOf(content, containerd_.root()));
  ASSERT_TRUE(service_->pull({publish("small", 1000)}, {}));
  EXPECT_EQ(facts_->places()->content, content);
  EXPECT_EQ(places->snapshots, containerd_.root() + "/io.containerd.snapshotter.v1.overlayfs");
}

TEST_F(SpaceTest, WhatDoesNotFitIsRefusedBeforeTheFirstByteOfALayer) {
  options_.disk_reserve = 10 * kMi;
  make_service();
  const std::string big = publish("big", 45'000'000);
  const auto pulled = service_->pull({big}, {});
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().reason(), "InsufficientStorage");
  EXPECT_THAT(pulled.error().full(), HasSubstr("needs about"));
  EXPECT_THAT(pulled.error().full(), HasSubstr("10.0 MiB"));
  EXPECT_THAT(pulled.error().full(), HasSubstr(containerd_.root()));
  EXPECT_THAT(ctr({"content", "active"}), Not(HasSubstr("layer-")));
  EXPECT_GT(free_bytes(), 75 * kMi);

  const std::string archive = dir_ / "big.tar";
  const auto imported = service_->import_archive(archive, {});
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().reason(), "InsufficientStorage") << imported.error().full();
  EXPECT_GT(free_bytes(), 75 * kMi);
}

TEST_F(SpaceTest, TheReserveIsLeftFree) {
  const std::string image = publish("image", 20'000'000);
  options_.disk_reserve = 45 * kMi;
  make_service();
  EXPECT_EQ(service_->pull({image}, {}).error().reason(), "InsufficientStorage");
  options_.disk_reserve = 10 * kMi;
  make_service();
  pull(image);
  EXPECT_GE(free_bytes(), 10 * kMi);
}

TEST_F(SpaceTest, AboveTheHighMarkTheOnesUnusedForLongestGoDownToTheLowMark) {
  std::vector<std::string> images;
  uint64_t size = 8'000'000;  // another one each: other bytes
  for (const std::string name : {"a", "b", "c"}) images.push_back(publish(name, ++size));
  for (const std::string& image : images) pull(image);  // 16 MB each: content and snapshot
  options_.gc_high = 95;
  options_.gc_low = 50;
  make_service();
  removable_ = {images[1], images[0]};
  auto report = service_->prune({}, {});
  ASSERT_TRUE(report) << report.error().full();
  EXPECT_THAT(report->removed, IsEmpty()) << "below the high mark nothing goes";

  options_.gc_high = 55;
  make_service();
  const std::string before = ctr({"snapshots", "ls"});
  report = service_->prune({}, {});
  ASSERT_TRUE(report) << report.error().full();
  EXPECT_THAT(names(report->removed), ElementsAre(images[1])) << "one is enough";
  EXPECT_GT(report->freed_bytes, 12'000'000) << "content and snapshot are gone when it returns";
  EXPECT_LT(ctr({"snapshots", "ls"}).size(), before.size());
  EXPECT_TRUE(service_->find(images[0]));
  EXPECT_TRUE(service_->find(images[2])) << "it shares a layer with what went";

  options_.gc_low = 1;
  options_.gc_high = 2;
  make_service();
  report = service_->prune({}, {});
  ASSERT_TRUE(report) << report.error().full();
  EXPECT_THAT(names(report->removed), ElementsAre(images[0])) << "but never what is needed";
  EXPECT_TRUE(service_->find(images[2]));
}

TEST_F(SpaceTest, APullThatWouldNotFitMakesRoomFirst) {
  const std::string old = publish("old", 20'000'000);
  const std::string fresh = publish("fresh", 21'000'000);
  pull(old);
  const auto refused = service_->pull({fresh}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), "InsufficientStorage") << refused.error().full();
  EXPECT_TRUE(service_->find(old));
  removable_ = {old};
  pull(fresh);
  EXPECT_FALSE(service_->find(old));
}

TEST_F(SpaceTest, ARefusedPullIsToldWhenItFits) {
  const std::string image = publish("image", 20'000'000);
  fill_up(30 * kMi);
  EXPECT_EQ(service_->pull({image}, {}).error().reason(), "InsufficientStorage");
  auto report = service_->prune({false, {image}}, {});
  ASSERT_TRUE(report);
  EXPECT_THAT(report->fits, IsEmpty());
  free_up();
  report = service_->prune({false, {image}}, {});
  ASSERT_TRUE(report);
  EXPECT_THAT(report->fits, ElementsAre(image));
  pull(image);
}

// Wherever in the pull the disk becomes full: while it is fetched, or while it is unpacked.
TEST_F(SpaceTest, AFullDiskInTheMiddleLeavesACleanStateAndIsOverWhenSpaceReturns) {
  const std::string small = publish("small", 1'000'000);
  const std::string image = publish("image", 20'000'000);
  pull(small);
  BlindFacts blind;
  options_.facts = &blind;
  make_service();
  for (const int64_t left : {10 * kMi, 25 * kMi}) {
    SCOPED_TRACE(left);
    fill_up(left);
    const auto pulled = service_->pull({image}, {});
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().reason(), "InsufficientStorage") << pulled.error().full();
    EXPECT_FALSE(service_->find(image));
    EXPECT_THAT(ctr({"images", "ls", "-q"}), Not(HasSubstr("image:1")));
    EXPECT_THAT(ctr({"snapshots", "ls"}), Not(HasSubstr("Active"))) << "no half-made snapshot";
    EXPECT_TRUE(service_->find(small)) << "nothing else is disturbed";
    free_up();
  }
  pull(image);
  EXPECT_THAT(ctr({"images", "check", "name==" + image}), HasSubstr("complete ("));
  EXPECT_EQ(ctr({"leases", "ls", "-q"}), "");
}

// Nothing says beforehand what a zstd layer unpacks to.
TEST_F(SpaceTest, AFullDiskIsFreedAtOnceAndOnlyMoreRoomIsAReasonToTryAgain) {
  image_test::ScriptedRegistry registry;
  const auto layer =
      image_test::make_layer("zeros", std::string(100 * kMi, '\0'), image_test::Packing::Zstd);
  const std::string image = registry.add(
      image_test::make_image({layer}, options_.platform.architecture, options_.platform.variant),
      "zeros", "1");
  pull(publish("small", 1'000'000));
  const int64_t before = free_bytes();
  const auto pulled = service_->pull({image}, {});
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().reason(), "InsufficientStorage") << pulled.error().full();
  EXPECT_THAT(pulled.error().full(), HasSubstr("needs more than the"));
  EXPECT_GT(free_bytes(), before - 2 * kMi);
  for (int look = 0; look < 3; ++look) {
    const auto report = service_->prune({false, {image}}, {});
    ASSERT_TRUE(report) << report.error().full();
    EXPECT_THAT(report->fits, IsEmpty());
  }
}

}  // namespace
}  // namespace wherry::test
