#pragma once
// Archives on disk, imported into a store in memory.

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/image/image_service.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/image/archives.h"
#include "tests/unit/image/fake_backend.h"

namespace wherry::image_test {

using runtime::Image;
using ::testing::HasSubstr;

// Nothing of a failed import may stay once the collector has been by.
inline void expect_empty(FakeImageBackend& store) {
  EXPECT_TRUE(store.records.empty());
  EXPECT_TRUE(store.leases.empty());
  store.collect();
  EXPECT_TRUE(store.blobs.empty());
  EXPECT_TRUE(store.snapshots.empty());
}

class Import : public ::testing::Test {
 protected:
  Import() {
    options_.platform = {"linux", "amd64", ""};
    service_ = std::make_unique<runtime::ImageService>(store_, options_);
  }

  std::string put(const std::string& name, const std::string& bytes) {
    const std::string path = dir_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  Result<std::vector<Image>> import(const std::string& name, const std::string& bytes) {
    return service_->import_archive(put(name, bytes), {});
  }
  Result<std::vector<Image>> import(const Files& files) { return import("x.tar", make_tar(files)); }

  void expect_nothing_left() { expect_empty(store_); }
  void expect_refused(const Files& files, Code code, const std::string& fault) {
    const auto imported = import(files);
    ASSERT_FALSE(imported) << fault;
    EXPECT_EQ(imported.error().code(), code) << imported.error().full();
    EXPECT_THAT(imported.error().full(), HasSubstr(fault));
    expect_nothing_left();
  }

  const test::TempDir dir_;
  FakeImageBackend store_;
  runtime::ImageServiceOptions options_;
  std::unique_ptr<runtime::ImageService> service_;
};

inline const TestImage& two_layers() {
  static const TestImage image = make_image({make_layer("a", "first"), make_layer("b", "second")});
  return image;
}

inline std::vector<std::string> names(const std::vector<Image>& images) {
  std::vector<std::string> all;
  for (const Image& each : images) all.push_back(each.name);
  return all;
}

}  // namespace wherry::image_test
