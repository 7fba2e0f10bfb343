// What the Images door of runtime.h promises, on the fake and on containerd.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/containerd/image_backend.h"
#include "runtime/fake/fake_images.h"
#include "runtime/image/image_service.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/test_image.h"

namespace wherry::runtime {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::SizeIs;

class ImagesWorld {
 public:
  virtual ~ImagesWorld() = default;
  virtual Images& images() = 0;
};

class FakeImagesWorld final : public ImagesWorld {
 public:
  Images& images() override { return images_; }

 private:
  FakeImages images_;
};

class RealImagesWorld final : public ImagesWorld {
 public:
  RealImagesWorld()
      : client_({daemon_.socket(), "wherry", "overlayfs"}),
        backend_(make_containerd_backend(client_, clock_)),
        images_(*backend_, {}) {}
  Images& images() override { return images_; }

 private:
  test::ContainerdDaemon daemon_;
  SystemClock clock_;
  Client client_;
  std::unique_ptr<ImageBackend> backend_;
  ImageService images_;
};

struct Kind {
  const char* name;
  std::unique_ptr<ImagesWorld> (*make)();
};
std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

class ImagesContract : public testing::TestWithParam<Kind> {
 protected:
  ImagesContract() : world_(GetParam().make()) {}
  Images& images() { return world_->images(); }

  // One image, imported from an archive.
  Image imported() {
    const std::string path = directory_ / "busybox.tar";
    test::make_busybox_archive(path, "registry.local/busybox:1");
    const auto images = world_->images().import_archive(path, {});
    EXPECT_TRUE(images) << images.error().full();
    if (!images || images->size() != 1) return {};
    return images->front();
  }

  test::TempDir directory_;
  std::unique_ptr<ImagesWorld> world_;
};

TEST_P(ImagesContract, HasNothingAtFirst) {
  const auto all = images().list();
  ASSERT_TRUE(all) << all.error().full();
  EXPECT_THAT(*all, IsEmpty());
  const auto found = images().find("registry.local/busybox:1");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Code::NotFound) << found.error().full();
}

TEST_P(ImagesContract, RefusesWhatIsNoReference) {
  for (const std::string reference : {"", "two words"}) {
    const auto found = images().find(reference);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), Code::InvalidArgument);
    EXPECT_EQ(found.error().reason(), "InvalidImageName");
    EXPECT_EQ(images().pull({reference}, {}).error().reason(), "InvalidImageName");
  }
}

TEST_P(ImagesContract, FindsWhatItImported) {
  const Image image = imported();
  EXPECT_THAT(image.digest, testing::StartsWith("sha256:"));
  EXPECT_GT(image.size, 0);
  const auto found = images().find(image.name);
  ASSERT_TRUE(found) << found.error().full();
  EXPECT_EQ(*found, image);
  EXPECT_THAT(*images().list(), Contains(image));
}

TEST_P(ImagesContract, ImportsTheSameTwice) {
  const Image first = imported();
  EXPECT_EQ(imported(), first);
  EXPECT_THAT(*images().list(), SizeIs(1));
}

TEST_P(ImagesContract, SaysThatThereIsNoSuchArchive) {
  EXPECT_FALSE(images().import_archive(directory_ / "absent.tar", {}));
}

TEST_P(ImagesContract, RemovesARecordOnceOrTwice) {
  const Image image = imported();
  for (int twice = 0; twice < 2; ++twice) {
    const Status removed = images().remove(image.name);
    ASSERT_TRUE(removed) << removed.error().full();
    EXPECT_EQ(images().find(image.name).error().code(), Code::NotFound);
  }
  EXPECT_THAT(*images().list(), IsEmpty());
}

TEST_P(ImagesContract, SaysWhyItCannotPull) {
  const auto pulled = images().pull({"127.0.0.1:1/absent:1"}, {});
  ASSERT_FALSE(pulled);
  // The fake has no network to speak of.
  EXPECT_THAT(pulled.error().reason(), ::testing::AnyOf("ErrImagePull", "RegistryUnavailable"))
      << pulled.error().full();
  EXPECT_THAT(*images().list(), IsEmpty());
}

TEST_P(ImagesContract, PullsNothingOnceCancelled) {
  CancelToken cancel;
  cancel.cancel();
  const auto pulled = images().pull({"127.0.0.1:1/absent:1"}, cancel);
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code(), Code::Cancelled) << pulled.error().full();
}

TEST_P(ImagesContract, PrunesNothingThatNobodyNamedAsRemovable) {
  const Image image = imported();
  EXPECT_TRUE(image.imported);
  for (const bool all : {false, true}) {
    const auto report = images().prune({all}, {});
    ASSERT_TRUE(report) << report.error().full();
    EXPECT_THAT(report->removed, IsEmpty());
    EXPECT_EQ(report->freed_bytes, 0);
  }
  EXPECT_THAT(*images().list(), Contains(image));
}

INSTANTIATE_TEST_SUITE_P(All, ImagesContract,
                         testing::Values(Kind{"Fake",
                                              []() -> std::unique_ptr<ImagesWorld> {
                                                return std::make_unique<FakeImagesWorld>();
                                              }},
                                         Kind{"Containerd",
                                              []() -> std::unique_ptr<ImagesWorld> {
                                                return std::make_unique<RealImagesWorld>();
                                              }}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace wherry::runtime
