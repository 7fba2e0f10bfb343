// The cache of workloads, on a disk that returns other bytes.

#include "telemetry/stream/cache.h"

#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/support/temp_dir.h"

namespace wherry::telemetry {
namespace {

class CacheDamageTest : public testing::Test {
 protected:
  CacheDamageTest() {
    options_.path = directory_ / "cache.db";
    options_.boot = "b";
    make();
    for (int i = 0; i < kEntries; ++i) {
      EXPECT_TRUE(cache_->put("web", key(i), {value(i), "text/plain"}, std::nullopt));
    }
    cache_.reset();
    whole_ = *read_file(options_.path);
  }
  void make() { cache_ = std::make_unique<Cache>(options_, clock_); }
  static std::string key(int i) { return "key-" + std::to_string(i); }
  static std::string value(int i) { return std::string(500 + 100 * i, static_cast<char>('a' + i)); }
  void put(const std::string& bytes) {
    cache_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      std::filesystem::remove(entry.path());
    }
    std::ofstream(options_.path, std::ios::binary) << bytes;
    make();
  }
  // What is there is what was put; the rest is as if it had never been.
  void check() {
    int found = 0;
    for (int i = 0; i < kEntries; ++i) {
      const auto entry = cache_->get("web", key(i));
      if (entry) {
        ++found;
        EXPECT_EQ(entry->value, value(i)) << i;
        EXPECT_EQ(entry->type, "text/plain") << i;
      } else if (entry.error().code() != Code::NotFound) {
        // By its header it is another program's, or a newer version's.
        EXPECT_EQ(entry.error().code(), Code::FailedPrecondition) << entry.error().full();
        return;
      }
    }
    if (found < kEntries) ++damaged_;
    clock_.advance(std::chrono::minutes(2));  // for one that proves damaged a second time
    const Status put = cache_->put("web", "new", {"v", "text/plain"}, std::nullopt);
    EXPECT_TRUE(put) << put.error().full();
    EXPECT_TRUE(cache_->get("web", "new"));
    EXPECT_TRUE(cache_->keys("web"));
  }
  static constexpr int kEntries = 20;
  test::TempDir directory_;
  FakeClock clock_;
  CacheOptions options_;
  std::unique_ptr<Cache> cache_;
  std::string whole_;
  int damaged_ = 0;
};

TEST_F(CacheDamageTest, FlippedBytes) {
  std::mt19937 random(7);
  for (size_t round = 0; round < 200; ++round) {
    std::string bytes = whole_;
    const size_t at = round < 100 ? round : random() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 + random() % 255));
    SCOPED_TRACE("byte " + std::to_string(at));
    put(bytes);
    check();
  }
  EXPECT_GT(damaged_, 50) << "the test does not damage anything";
}

TEST_F(CacheDamageTest, Truncated) {
  std::mt19937 random(8);
  for (int round = 0; round < 40; ++round) {
    const size_t size = random() % whole_.size();
    SCOPED_TRACE("cut to " + std::to_string(size));
    put(whole_.substr(0, size));
    check();
  }
  EXPECT_GT(damaged_, 30);
}

TEST_F(CacheDamageTest, WhileItRuns) {
  std::mt19937 random(9);
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    put(whole_);
    EXPECT_TRUE(cache_->get("web", key(0)));
    std::string bytes = whole_;
    for (int i = 0; i < 20; ++i) bytes[random() % bytes.size()] ^= 0x40;
    { std::ofstream(options_.path, std::ios::binary | std::ios::in) << bytes; }
    if (round % 3 == 0) std::filesystem::resize_file(options_.path, random() % whole_.size());
    check();
    check();
  }
}

}  // namespace
}  // namespace wherry::telemetry
