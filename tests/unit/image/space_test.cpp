// Which pulls are promised room, by the numbers of a real filesystem that they would fill.

#include "runtime/image/space.h"

#include <sys/statvfs.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "runtime/image/image_service.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/image/fake_backend.h"

namespace wherry::image_test {
namespace {

using ::testing::HasSubstr;

class OneDisk final : public runtime::StoreFacts {
 public:
  explicit OneDisk(std::string path) : path_(std::move(path)) {}
  Result<runtime::StorePlaces> places() override { return runtime::StorePlaces{path_, path_}; }
  Result<int64_t> ingested(const std::string&) override { return 0; }
  Result<int64_t> unpacked(const std::string&) override { return 0; }

 private:
  const std::string path_;
};

class Space : public ::testing::Test {
 protected:
  // An image of one layer that takes this part of what is free now.
  runtime::ImageLayout taking(double part, const std::string& seed) const {
    struct statvfs info {};
    EXPECT_EQ(statvfs(dir_.path().c_str(), &info), 0);
    const double free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
    runtime::ImageLayout layout;
    layout.content.layers = {{"application/vnd.oci.image.layer.v1.tar", sha256_digest(seed),
                              static_cast<int64_t>(free * part)}};
    return layout;
  }
  Error refused(const std::string& name, const runtime::ImageLayout& layout) {
    const Status status = space_.before_fetch(name, layout, {});
    EXPECT_FALSE(status) << name;
    return status ? Error(Code::Internal, "") : space_.settle(name, status.error());
  }

  const test::TempDir dir_;
  OneDisk facts_{dir_.path()};
  FakeImageBackend store_;
  runtime::DiskSpace space_{store_, &facts_, 0, {}};
};

TEST_F(Space, PullsUnderWayHaveTheirRoomPromised) {
  ASSERT_TRUE(space_.before_fetch("first", taking(0.6, "a"), {}));
  const Error error = refused("second", taking(0.6, "b"));
  EXPECT_EQ(error.reason(), "InsufficientStorage");
  EXPECT_THAT(error.full(), HasSubstr("of them wanted by pulls under way"));
  EXPECT_FALSE(space_.fits("second"));
  EXPECT_TRUE(space_.before_fetch("small", taking(0.1, "c"), {})) << "which fits beside the first";
  space_.done("small");
  space_.done("first");
  EXPECT_TRUE(space_.fits("second"));
  EXPECT_TRUE(space_.before_fetch("second", taking(0.6, "b"), {}));
}

TEST_F(Space, WhatWasRefusedPromisesNothing) {
  EXPECT_EQ(refused("too large", taking(2, "a")).reason(), "InsufficientStorage");
  EXPECT_TRUE(space_.before_fetch("other", taking(0.6, "b"), {}));
}

TEST_F(Space, ALayerThatTwoPullsShareIsCountedOnce) {
  ASSERT_TRUE(space_.before_fetch("first", taking(0.6, "a"), {}));
  EXPECT_TRUE(space_.before_fetch("same layer", taking(0.6, "a"), {}));
}

TEST_F(Space, WhoeverCameFirstIsNotRefusedForThoseBehind) {
  ASSERT_TRUE(space_.before_fetch("first", taking(0.6, "a"), {}));
  EXPECT_EQ(refused("second", taking(0.6, "b")).reason(), "InsufficientStorage");
  EXPECT_TRUE(space_.before_fetch("first", taking(0.6, "a"), {})) << "tried again";
}

TEST_F(Space, TheRoomOfAnImageStaysPromisedUntilItsLastPullHasEnded) {
  space_.begin("twice");
  space_.begin("twice");
  ASSERT_TRUE(space_.before_fetch("twice", taking(0.6, "a"), {}));
  ASSERT_TRUE(space_.before_fetch("twice", taking(0.6, "a"), {}));
  static_cast<void>(space_.settle("twice", Error(Code::Unavailable, "the link broke")));
  EXPECT_EQ(refused("other", taking(0.6, "b")).reason(), "InsufficientStorage");
  space_.done("twice");
  EXPECT_TRUE(space_.before_fetch("other", taking(0.6, "b"), {}));
}

TEST_F(Space, ACancelEndsTheMakingOfRoom) {
  CancelToken pull;
  runtime::DiskSpace space(store_, &facts_, 0,
                           [](const runtime::DiskSpace::Enough& enough, CancelToken cancel) {
                             EXPECT_FALSE(enough({}));
                             cancel.cancel();
                           });
  const Status status = space.before_fetch("x", taking(2, "a"), pull);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::Cancelled);
  EXPECT_TRUE(pull.cancelled());
}

TEST_F(Space, APruneThatRemovesNothingSaysWhy) {
  runtime::ImageServiceOptions options;
  options.removable = [] {
    return std::vector<runtime::RemovableImage>{{"r.local/a:1", "sha256:1"},
                                                {"r.local/b:1", "sha256:1"}};
  };
  runtime::ImageService service(store_, options);
  for (const char* name : {"r.local/a:1", "r.local/b:1"}) {
    store_.records[name] = {name, {"", "sha256:1", 1}, {{runtime::kPulledLabel, "true"}}, {}, {}};
  }
  bool only_first = false;
  store_.fault = [&](const std::string& method, const std::string& what) -> Status {
    if (method != "remove_image" || (only_first && what != "r.local/a:1")) return {};
    return fail(Code::FailedPrecondition, what + " is in use");
  };
  const auto none = service.prune({true}, {});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().full(), HasSubstr("r.local/a:1 is in use"));
  only_first = true;
  const auto some = service.prune({true}, {});
  ASSERT_TRUE(some);
  EXPECT_EQ(some->removed.size(), 1u);
}

}  // namespace
}  // namespace wherry::image_test
