#pragma once
// A store in a directory of its own.

#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "agent/store/store.h"
#include "base/files.h"
#include "base/text.h"

namespace wherry {

inline StoredDocument document(uint64_t revision, const std::string& payload = "payload",
                               const std::string& source = "devices/pump-7") {
  return {source, revision, "sha256:" + std::to_string(revision), payload,
          WallTime(std::chrono::seconds(1'790'000'000 + revision))};
}

inline EventRecord event(const std::string& message) {
  return {0, WallTime(std::chrono::seconds(5)), "web", "main", "Normal", "Started", message, 42};
}

inline bool operator==(const StoredDocument& a, const StoredDocument& b) {
  return a.source == b.source && a.revision == b.revision && a.digest == b.digest &&
         a.payload == b.payload && a.accepted_at == b.accepted_at;
}

// The value, or a failed test.
template <typename T>
T value(Result<T> result) {
  if (result) return *std::move(result);
  ADD_FAILURE() << result.error().full();
  return T{};
}

#define ASSERT_OK(status) \
  if (const auto checked = (status); !checked) FAIL() << checked.error().full()

class StoreTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_)); }

  const std::string& directory() const { return directory_; }
  std::string path(const std::string& name = "wherry.db") const { return directory_ + "/" + name; }

  StoreOptions options() const {
    StoreOptions options;
    options.path = path();
    options.busy_timeout = Duration::zero();
    return options;
  }
  Store::Opened opened() const { return value(Store::open(options())); }
  // Expected to be whole.
  std::unique_ptr<Store> open() const {
    Store::Opened opened = this->opened();
    EXPECT_EQ(opened.set_aside, "") << opened.damage;
    return std::move(opened.store);
  }

 private:
  // Here processes die and bytes are flipped, not disks: memory will do, and syncs cost nothing
  // there.
  static std::string root() {
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : ::testing::TempDir();
  }
  const std::string directory_ = root() + "store-" + random_hex(8);
};

}  // namespace wherry
