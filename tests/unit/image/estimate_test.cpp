// What pulls would bring, and that looking stores nothing.

#include "runtime/estimate.h"

#include "tests/support/temp_dir.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

class OnePlace final : public runtime::StoreFacts {
 public:
  explicit OnePlace(std::string path) : path_(std::move(path)) {}
  Result<runtime::StorePlaces> places() override { return runtime::StorePlaces{path_, path_}; }
  Result<int64_t> ingested(const std::string&) override { return 0; }
  Result<int64_t> unpacked(const std::string&) override { return 0; }

 private:
  const std::string path_;
};

class Estimate : public Pull {
 protected:
  Estimate() {
    options_.facts = &facts_;
    options_.disk_reserve = 1000;
    restart();
  }
  runtime::StoreEstimate estimate(const std::vector<std::string>& references) {
    std::vector<runtime::PullRequest> wanted;
    for (const std::string& reference : references) wanted.push_back({reference});
    const auto made = service_->estimate(wanted, {});
    EXPECT_TRUE(made) << made.error().full();
    return made.value_or(runtime::StoreEstimate{});
  }
  const test::TempDir dir_;
  OnePlace facts_{dir_.path()};
};

TEST_F(Estimate, IsWhatThePullThenBrings) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  const auto before = estimate({name});
  ASSERT_EQ(before.images.size(), 1U);
  EXPECT_TRUE(store_.blobs.empty()) << "nothing is stored";
  EXPECT_TRUE(store_.leases.empty());
  EXPECT_TRUE(store_.records.empty());
  EXPECT_EQ(before.images[0].digest, three_layers().digest());
  EXPECT_EQ(before.images[0].name, name);
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled);
  EXPECT_EQ(before.images[0].download_bytes, pulled->size);
  EXPECT_GT(before.images[0].disk_bytes, pulled->size) << "it is unpacked, too";
  ASSERT_EQ(before.disks.size(), 1U);
  EXPECT_EQ(before.disks[0].needed, before.images[0].disk_bytes);
  EXPECT_EQ(before.disks[0].reserved, 1000);
  EXPECT_GT(before.disks[0].free, 0);
  EXPECT_TRUE(before.disks[0].fits());
  EXPECT_EQ(registry_.count("GET", "/blobs/"), 1 + 4) << "of layers nothing was asked for";

  const auto after = estimate({name});
  EXPECT_EQ(after.images[0].download_bytes, 0);
  EXPECT_EQ(after.images[0].disk_bytes, 0);
}

TEST_F(Estimate, CountsWhatImagesShareOnce) {
  const TestImage more = make_image({three_layers().layers[0], make_layer("d", "new")});
  const std::string one = registry_.add(three_layers(), "web", "1");
  const std::string two = registry_.add(more, "web", "2");
  const auto both = estimate({one, two});
  EXPECT_LT(both.images[1].download_bytes, 10'000) << "its large layer comes with the first";
  EXPECT_EQ(both.disks[0].needed, both.images[0].disk_bytes + both.images[1].disk_bytes);
}

TEST_F(Estimate, OneThatCannotBeLookedAtKeepsNobodyElse) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  const auto made = estimate({registry_.host() + "/none:1", name, "127.0.0.1:1/web:1"});
  ASSERT_EQ(made.images.size(), 3U);
  ASSERT_TRUE(made.images[0].error);
  EXPECT_EQ(made.images[0].error->reason(), "ErrImagePull");
  EXPECT_FALSE(made.images[1].error);
  ASSERT_TRUE(made.images[2].error);
  EXPECT_EQ(made.images[2].error->reason(), "RegistryUnavailable");
}

}  // namespace
}  // namespace wherry::image_test
