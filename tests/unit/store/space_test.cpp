// A full disk: a clear error, nothing half-written, and it goes on when there is space again.
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "tests/unit/store/store_fixture.h"

namespace wherry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A file system of 1 MiB, in a mount namespace of this thread.
class SmallDisk : public StoreTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(directory()));
    // Without root, a user namespace gives the right to mount.
    if (unshare(CLONE_NEWNS) != 0) {
      ASSERT_EQ(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0) << "needs root or user namespaces";
    }
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("small", directory().c_str(), "tmpfs", 0, "size=1m"), 0);
  }
  void TearDown() override {
    EXPECT_EQ(umount2(directory().c_str(), MNT_DETACH), 0);
    StoreTest::TearDown();
  }
  // Takes all the space that is left.
  void fill() const {
    const int fd = ::open(path("ballast").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const std::string block(4096, 'x');
    while (write(fd, block.data(), block.size()) > 0) {
    }
    close(fd);
  }
  void free_space() const { std::filesystem::remove(path("ballast")); }
};

TEST_F(SmallDisk, FullItRefusesAndLaterGoesOn) {
  auto store = open();
  ASSERT_OK(store->save_document(document(1), {event("first")}));
  fill();
  // The log has some room of its own; in the end it must grow.
  uint64_t revision = 1;
  Status saved;
  while (saved && revision < 500) {
    ++revision;
    saved = store->save_document(document(revision, std::string(5000, 'p')), {event("next")});
  }
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code(), Code::ResourceExhausted) << saved.error().full();
  EXPECT_THAT(saved.error().full(), HasSubstr("save the document of devices/pump-7: "));
  EXPECT_EQ(value(store->documents())[0].revision, revision - 1);
  EXPECT_EQ(value(store->events(0, 1000)).size(), revision - 1);
  ContainerHistory history;
  history.last_reason = std::string(10'000, 'r');
  EXPECT_EQ(store->save_history(history).error().code(), Code::ResourceExhausted);

  free_space();
  ASSERT_OK(store->save_document(document(revision, "again"), {event("again")}));
  store.reset();
  store = open();
  EXPECT_THAT(value(store->documents()), ElementsAre(document(revision, "again")));
  EXPECT_EQ(value(store->events(0, 1000)).size(), revision);
}

TEST_F(SmallDisk, FullAtBootItStillReads) {
  ASSERT_OK(open()->save_document(document(1), {}));
  fill();
  auto store = open();
  EXPECT_THAT(value(store->documents()), ElementsAre(document(1)));
  EXPECT_EQ(store->save_document(document(2, std::string(9000, 'p')), {}).error().code(),
            Code::ResourceExhausted);
  free_space();
  ASSERT_OK(store->save_document(document(2), {}));
}

TEST_F(SmallDisk, FullBeforeTheFirstStartItSaysSo) {
  fill();
  const auto refused = Store::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::ResourceExhausted) << refused.error().full();
  free_space();
  ASSERT_OK(open()->save_document(document(1), {}));
}

TEST_F(SmallDisk, FullADamagedOneStaysForALaterRepair) {
  ASSERT_OK(open()->save_document(document(1, "kept", "groups/a"), {}));
  ASSERT_OK(open()->save_document(document(2, std::string(500, 'c'), "groups/b"), {}));
  std::string bytes = value(read_file(path()));
  bytes[bytes.find(std::string(400, 'c')) + 200] ^= 1;
  ASSERT_OK(write_file_atomic(path(), bytes, 0600));
  fill();
  const auto refused = Store::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::ResourceExhausted) << refused.error().full();
  free_space();
  const Store::Opened opened = this->opened();
  EXPECT_THAT(opened.salvaged, ElementsAre("groups/a"));
}

}  // namespace
}  // namespace wherry
