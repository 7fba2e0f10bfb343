// The power goes just after, or in the middle of, a pull or an import: nothing that counts as
// unpacked is lost, on a real ext4 that has written no more than it was made to.

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "base/digest.h"
#include "runtime/containerd/image_backend.h"
#include "runtime/image/image_service.h"
#include "tests/support/containerd_daemon.h"
#include "tests/unit/image/scripted_registry.h"

namespace wherry::test {
namespace {

using image_test::Packing;

class PowerCut : public ::testing::Test {
 protected:
  PowerCut() : containerd_(on_disk()) { begin(); }

  static ContainerdOptions on_disk() {
    ContainerdOptions options;
    options.disk_bytes = 200 << 20;
    options.ext4 = true;
    return options;
  }
  void end() {
    service_.reset();
    backend_.reset();
    client_.reset();
  }
  void begin() {
    client_ = std::make_unique<runtime::Client>(
        runtime::ClientOptions{containerd_.socket(), "wherry", "overlayfs"});
    backend_ = runtime::make_containerd_backend(*client_, clock_);
    options_.retry = {std::chrono::milliseconds(1), std::chrono::milliseconds(2), 0};
    service_ = std::make_unique<runtime::ImageService>(*backend_, options_);
  }
  void power_goes() {
    containerd_.cut_power([this] { end(); });
    begin();
  }
  image_test::TestImage image() const {
    return image_test::make_image({image_test::make_layer("lower", lower_, Packing::Zstd),
                                   image_test::make_layer("upper", upper_, Packing::Gzip)},
                                  options_.platform.architecture, options_.platform.variant);
  }
  void expect_whole(const std::string& name) {
    const auto found = service_->find(name);
    ASSERT_TRUE(found) << found.error().full();
    const std::string mount = containerd_.directory() + "/look";
    std::filesystem::create_directory(mount);
    const auto mounted = containerd_.ctr("wherry", {"images", "mount", found->name, mount});
    ASSERT_EQ(mounted.exit_code, 0) << mounted.err;
    EXPECT_EQ(sha256_hex(read_text(mount + "/lower")), sha256_hex(lower_));
    EXPECT_EQ(sha256_hex(read_text(mount + "/upper")), sha256_hex(upper_));
    EXPECT_EQ(containerd_.ctr("wherry", {"images", "unmount", "--rm", mount}).exit_code, 0);
  }

  const std::string lower_ = std::string(3'000'000, 'l');
  const std::string upper_ = std::string(2'000'000, 'u');
  const SystemClock clock_;
  image_test::ScriptedRegistry registry_;
  ContainerdDaemon containerd_;
  runtime::ImageServiceOptions options_;
  std::unique_ptr<runtime::Client> client_;
  std::unique_ptr<runtime::ImageBackend> backend_;
  std::unique_ptr<runtime::ImageService> service_;
};

TEST_F(PowerCut, AnImageThatWasPulledIsWhole) {
  const auto pulled = service_->pull({registry_.add(image(), "a", "1")}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  power_goes();
  expect_whole(pulled->name);
}

TEST_F(PowerCut, AnImageThatWasImportedIsWhole) {
  const TempDir dir;
  write_text(dir / "a.tar", image_test::make_tar(image_test::oci_files(image())));
  const auto imported = service_->import_archive(dir / "a.tar", {});
  ASSERT_TRUE(imported) << imported.error().full();
  power_goes();
  expect_whole(imported->front().name);
}

TEST_F(PowerCut, APullGoesOnFromLayersThatAreWhole) {
  const auto made = image();
  const std::string name = registry_.add(made, "a", "1");
  const std::string upper = made.layers[1].blob;
  bool broken = true;
  registry_.script([&](const httplib::Request& request, httplib::Response& response) {
    if (!broken || request.path.find("/blobs/" + sha256_digest(upper)) == std::string::npos) {
      return false;
    }
    const auto unpacked = [&] {
      return backend_->has_snapshot(made.layers[0].diff_id).value_or(false);
    };
    EXPECT_TRUE(wait_until(unpacked)) << "the first chain id is the diff id";
    image_test::refuse(response, 403);
    return true;
  });
  ASSERT_FALSE(service_->pull({name}, {}));
  power_goes();
  broken = false;
  const auto pulled = service_->pull({name}, {});
  ASSERT_TRUE(pulled) << pulled.error().full();
  expect_whole(name);
}

}  // namespace
}  // namespace wherry::test
