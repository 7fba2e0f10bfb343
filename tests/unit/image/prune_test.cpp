// What may go is decided anew right before it goes: meanwhile it may have become another image, or
// somebody may have come who needs it.

#include <fstream>
#include <future>

#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

using runtime::RemovableImage;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Long enough for whatever would not wait to be through.
constexpr std::chrono::milliseconds kMoment{200};

class Prune : public Pull {
 protected:
  Prune() {
    options_.removable = [this] {
      const auto list = removable_;
      if (const auto then = std::exchange(after_first_look_, {})) then();
      return list;
    };
    restart();
    name_ = registry_.add(old_, "a", "1");
    const auto pulled = pull(name_);
    EXPECT_TRUE(pulled) << pulled.error().full();
    removable_ = {{name_, old_.digest()}};
  }
  void import(const TestImage& image) {
    const std::string path = dir_ / "a.tar";
    std::ofstream(path, std::ios::binary)
        << make_tar(oci_files(image, R"({"io.containerd.image.name":")" + name_ + R"("})"));
    const auto imported = service_->import_archive(path, {});
    EXPECT_TRUE(imported) << imported.error().full();
  }
  std::vector<Image> prune() {
    const auto report = service_->prune({true}, {});
    EXPECT_TRUE(report) << report.error().full();
    return report ? report->removed : std::vector<Image>();
  }
  void expect_there(const TestImage& image) {
    const auto found = service_->find(name_);
    ASSERT_TRUE(found) << found.error().full();
    EXPECT_EQ(found->digest, image.digest());
  }

  const test::TempDir dir_;
  const TestImage old_ = make_image({make_layer("a", "old")});
  const TestImage newer_ = make_image({make_layer("a", "newer")});
  std::string name_;
  std::vector<RemovableImage> removable_;
  std::function<void()> after_first_look_;
};

TEST_F(Prune, RemovesWhatMayGo) {
  EXPECT_THAT(prune(), SizeIs(1));
  EXPECT_FALSE(service_->find(name_));
}

TEST_F(Prune, ANameThatWasImportedMeanwhileMeansAnotherImage) {
  after_first_look_ = [this] { import(newer_); };
  EXPECT_THAT(prune(), IsEmpty());
  expect_there(newer_);
}

TEST_F(Prune, ANameThatWasPulledMeanwhileMeansAnotherImage) {
  after_first_look_ = [this] {
    registry_.add(newer_, "a", "1");
    EXPECT_TRUE(pull(name_));
  };
  EXPECT_THAT(prune(), IsEmpty());
  expect_there(newer_);
}

TEST_F(Prune, WhatSomebodyPulledMeanwhileStays) {
  after_first_look_ = [this] { EXPECT_TRUE(pull(name_)); };
  EXPECT_THAT(prune(), IsEmpty());
  expect_there(old_);
}

TEST_F(Prune, WhatWasImportedStaysBeforeAnybodyHasListedIt) {
  import(old_);
  EXPECT_THAT(prune(), IsEmpty());
  expect_there(old_);
}

TEST_F(Prune, WhatIsWantedMeanwhileStays) {
  after_first_look_ = [this] { removable_.clear(); };
  EXPECT_THAT(prune(), IsEmpty());
  expect_there(old_);
}

TEST_F(Prune, WhoLooksForAnImageThatIsGoingFindsItGone) {
  std::vector<std::future<bool>> finders;
  store_.fault = [&](const std::string& method, const std::string&) -> Status {
    if (method != "remove_image") return {};
    for (const std::string& reference : {name_, registry_.host() + "/a@" + old_.digest()}) {
      finders.push_back(std::async(
          std::launch::async, [this, reference] { return service_->find(reference).has_value(); }));
      EXPECT_EQ(finders.back().wait_for(kMoment), std::future_status::timeout) << reference;
    }
    return {};
  };
  EXPECT_THAT(prune(), SizeIs(1));
  ASSERT_THAT(finders, SizeIs(2));
  for (auto& finder : finders) EXPECT_FALSE(finder.get());
}

TEST_F(Prune, AnImportThatEndsDuringARemovalIsNotLost) {
  std::future<void> importing;
  store_.fault = [&](const std::string& method, const std::string& what) -> Status {
    if (method != "remove_image" || what != name_) return {};
    importing = std::async(std::launch::async, [this] { import(newer_); });
    importing.wait_for(kMoment);
    return {};
  };
  EXPECT_THAT(prune(), SizeIs(1));
  ASSERT_TRUE(importing.valid());
  importing.get();
  expect_there(newer_);
}

class OneDisk final : public runtime::StoreFacts {
 public:
  Result<runtime::StorePlaces> places() override { return runtime::StorePlaces{"/", "/"}; }
  Result<int64_t> ingested(const std::string&) override { return 0; }
  Result<int64_t> unpacked(const std::string&) override { return each_layer; }
  int64_t each_layer = 0;
};

// The only thing that is true of it is its name.
TestImage huge() {
  TestImage image = make_image({make_layer("a", "huge")});
  auto manifest = nlohmann::json::parse(image.manifest);
  manifest["layers"][0]["size"] = int64_t{1} << 50;
  image.manifest = manifest.dump();
  return image;
}

TEST_F(Prune, WhatCanNeverFitCostsNoImage) {
  OneDisk disk;
  options_.facts = &disk;
  options_.made_room = [](const runtime::PruneReport&) { FAIL() << "nothing was to be removed"; };
  restart();
  const std::string name = registry_.add(huge(), "huge", "1");
  EXPECT_EQ(pull(name).error().reason(), "InsufficientStorage");
  const auto report = service_->prune({false, {name}}, {});
  ASSERT_TRUE(report) << report.error().full();
  EXPECT_THAT(report->removed, IsEmpty());
  expect_there(old_);
}

TEST_F(Prune, WhatIsRemovedForAPullIsTold) {
  OneDisk disk;
  disk.each_layer = int64_t{1} << 52;
  options_.facts = &disk;
  std::vector<Image> told;
  options_.made_room = [&](const runtime::PruneReport& report) { told = report.removed; };
  restart();
  EXPECT_EQ(pull(registry_.add(huge(), "huge", "1")).error().reason(), "InsufficientStorage");
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].name, name_);
}

// A registry that caches, on a disk of its own.
TEST_F(Prune, ARegistryWhoseDiskIsFullCostsNoImage) {
  OneDisk disk;
  options_.facts = &disk;
  restart();
  registry_.script([](const Request& request, Response& response) {
    if (request.path.find("/blobs/") == std::string::npos) return false;
    response.status = 500;
    response.set_content(
        R"({"errors":[{"code":"UNKNOWN","message":"write /x: no space left on device"}]})",
        "application/json");
    return true;
  });
  const std::string other = registry_.add(newer_, "b", "1");
  const auto pulled = pull(other);
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().reason(), "ErrImagePull") << pulled.error().full();
  EXPECT_THAT(pulled.error().full(), HasSubstr("no space left on device"));
  const auto report = service_->prune({false, {other}}, {});
  ASSERT_TRUE(report) << report.error().full();
  EXPECT_THAT(report->removed, IsEmpty());
  expect_there(old_);
}

}  // namespace
}  // namespace wherry::image_test
