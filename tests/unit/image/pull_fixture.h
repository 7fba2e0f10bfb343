#pragma once
// Pulls into a store in memory from a registry that does what the test says.

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "base/digest.h"
#include "runtime/image/image_service.h"
#include "tests/unit/image/archives.h"
#include "tests/unit/image/fake_backend.h"
#include "tests/unit/image/scripted_registry.h"

namespace wherry::image_test {

using httplib::Request;
using httplib::Response;
using runtime::Image;
using ::testing::HasSubstr;
using ::testing::Not;

inline const std::string kManifestType = "application/vnd.oci.image.manifest.v1+json";
inline const std::string kIndexType = "application/vnd.oci.image.index.v1+json";

// Does not compress: the blob is about as long as the content.
inline std::string noise(size_t bytes, const std::string& seed) {
  std::string out;
  for (int i = 0; out.size() < bytes; ++i) out += sha256_hex(seed + std::to_string(i));
  return out;
}

class Pull : public ::testing::Test {
 protected:
  Pull() { restart(); }

  void restart() {
    options_.platform = {"linux", "amd64", ""};
    options_.timeouts = {std::chrono::seconds(5), std::chrono::seconds(5)};
    options_.retry = {std::chrono::milliseconds(1), std::chrono::milliseconds(5)};
    service_ = std::make_unique<runtime::ImageService>(store_, options_);
  }
  Result<Image> pull(const std::string& reference) { return service_->pull({reference}, {}); }

  void expect_failure(const std::string& reference, Code code, const std::string& fault) {
    const auto pulled = pull(reference);
    ASSERT_FALSE(pulled) << fault;
    EXPECT_EQ(pulled.error().code(), code) << pulled.error().full();
    EXPECT_THAT(pulled.error().full(), HasSubstr(fault));
    EXPECT_THAT(pulled.error().reason(),
                ::testing::AnyOf("ErrImagePull", "RegistryUnavailable", "InsufficientStorage"));
    EXPECT_TRUE(store_.records.empty());
    EXPECT_FALSE(service_->find(reference));
  }
  void expect_nothing_left() {
    EXPECT_TRUE(service_->drop_abandoned({}));
    EXPECT_TRUE(store_.leases.empty());
    store_.collect();
    EXPECT_TRUE(store_.blobs.empty());
    EXPECT_TRUE(store_.snapshots.empty());
  }

  FakeImageBackend store_;
  ScriptedRegistry registry_;
  runtime::ImageServiceOptions options_;
  std::unique_ptr<runtime::ImageService> service_;
};

inline const TestImage& three_layers() {
  static const TestImage image = make_image({make_layer("a", noise(300'000, "a"), Packing::Plain),
                                             make_layer("b", "second", Packing::Gzip),
                                             make_layer("c", "third", Packing::Zstd)});
  return image;
}
inline const std::string& big_blob() { return three_layers().layers[0].blob; }
inline bool wants(const Request& request, const std::string& blob) {
  return request.path.ends_with(sha256_digest(blob));
}

}  // namespace wherry::image_test
