#include "base/files.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/text.h"

namespace wherry {
namespace {

class Files : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(directory_)); }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_)); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  static bool exists(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0;
  }

 private:
  const std::string directory_ = ::testing::TempDir() + "files-" + random_hex(8);
};

TEST_F(Files, WritesAndReadsBack) {
  const std::string bytes("a\0b", 3);
  ASSERT_TRUE(write_file_atomic(path("x"), bytes, 0640));
  EXPECT_EQ(*read_file(path("x")), bytes);
  struct stat info {};
  ASSERT_EQ(stat(path("x").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  ASSERT_TRUE(write_file_atomic(path("x"), "new"));
  EXPECT_EQ(*read_file(path("x")), "new");
}

TEST_F(Files, AFailedWriteLeavesTheOldFileAndNothingElse) {
  ASSERT_TRUE(make_directories(path("d/x/full")));
  EXPECT_FALSE(write_file_atomic(path("d/x"), "bytes")) << "a directory is in the way";
  EXPECT_EQ(rmdir(path("d/x/full").c_str()), 0);
  EXPECT_EQ(rmdir(path("d/x").c_str()), 0);
  EXPECT_EQ(rmdir(path("d").c_str()), 0) << "no temporary file is left";
  EXPECT_EQ(write_file_atomic(path("absent/x"), "").error().code(), Code::NotFound);
}

TEST_F(Files, APipeIsNotWaitedFor) {
  const std::string pipe = path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const auto read = read_file(pipe);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), Code::FailedPrecondition);
  EXPECT_NE(read.error().message().find("is a pipe"), std::string::npos) << read.error().message();
  // A person's program waits, for a shell's <(…).
  std::thread writer([&] {
    const Fd end(open(pipe.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(write(end.get(), "text", 4), 4);
  });
  EXPECT_EQ(read_file_or_pipe(pipe).value_or(""), "text");
  writer.join();
}

TEST_F(Files, ReadingSaysWhatIsWrong) {
  EXPECT_EQ(read_file(path("absent")).error().code(), Code::NotFound);
  EXPECT_NE(read_file(path("absent")).error().message().find("absent"), std::string::npos);
  EXPECT_FALSE(read_file(path("")));
  ASSERT_TRUE(write_file_atomic(path("big"), std::string(1000, 'x')));
  EXPECT_EQ(read_file(path("big"), 999).error().code(), Code::FailedPrecondition);
  EXPECT_EQ(read_file(path("big"), 1000)->size(), 1000u);
}

TEST_F(Files, MakesDirectoriesWithTheModeAskedFor) {
  ASSERT_TRUE(make_directories(path("a/b/c"), 0700));
  ASSERT_TRUE(make_directories(path("a/b/c/"), 0755)) << "an existing one is kept";
  struct stat info {};
  ASSERT_EQ(stat(path("a/b/c").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  ASSERT_TRUE(write_file_atomic(path("file"), ""));
  EXPECT_FALSE(make_directories(path("file")));
  EXPECT_FALSE(make_directories(path("file/below")));
  EXPECT_FALSE(make_directories(""));
  EXPECT_TRUE(make_directories("/"));
}

TEST_F(Files, RemovesATreeButNotWhatLinksPointTo) {
  ASSERT_TRUE(make_directories(path("kept")));
  ASSERT_TRUE(write_file_atomic(path("kept/file"), "x"));
  ASSERT_TRUE(make_directories(path("tree/a/b")));
  ASSERT_TRUE(write_file_atomic(path("tree/a/file"), "x"));
  ASSERT_EQ(symlink(path("kept").c_str(), path("tree/link").c_str()), 0);
  ASSERT_EQ(symlink("/nowhere", path("tree/a/dangling").c_str()), 0);
  ASSERT_TRUE(remove_tree(path("tree")));
  EXPECT_FALSE(exists(path("tree")));
  EXPECT_TRUE(exists(path("kept/file")));
  EXPECT_TRUE(remove_tree(path("tree"))) << "missing is success";
  ASSERT_EQ(symlink(path("kept").c_str(), path("top").c_str()), 0);
  ASSERT_TRUE(remove_tree(path("top")));
  EXPECT_TRUE(exists(path("kept/file")));
}

TEST_F(Files, RemovesATreeDeeperThanDescriptorsAndPathsReach) {
  // 3000 levels: more than descriptors allow, and longer than PATH_MAX.
  ASSERT_TRUE(make_directories(path("deep")));
  int at = open(path("deep").c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(mkdirat(at, "d", 0755), 0);
    const int below = openat(at, "d", O_RDONLY | O_DIRECTORY);
    close(at);
    ASSERT_GE(at = below, 0);
  }
  close(at);
  const Status removed = remove_tree(path("deep"));
  EXPECT_TRUE(removed) << removed.error().full().substr(0, 200);
  EXPECT_FALSE(exists(path("deep")));
}

TEST_F(Files, RemovesManyEntries) {
  ASSERT_TRUE(make_directories(path("many")));
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(mknod(path("many/" + std::to_string(i)).c_str(), S_IFREG | 0600, 0), 0);
  }
  EXPECT_TRUE(remove_tree(path("many")));
  EXPECT_FALSE(exists(path("many")));
}

TEST_F(Files, DoesNotEnterWhatIsMounted) {
  if (geteuid() != 0) return;  // mounting needs root, as the agent has
  ASSERT_TRUE(make_directories(path("source")));
  ASSERT_TRUE(write_file_atomic(path("source/precious"), "x"));
  ASSERT_TRUE(make_directories(path("tree/mounted")));
  // A bind mount of the same file system: the device number does not tell.
  ASSERT_EQ(mount(path("source").c_str(), path("tree/mounted").c_str(), nullptr, MS_BIND, nullptr),
            0);
  const Status removed = remove_tree(path("tree"));
  EXPECT_EQ(umount2(path("tree/mounted").c_str(), MNT_DETACH), 0);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code(), Code::FailedPrecondition);
  EXPECT_TRUE(exists(path("source/precious")));
}

}  // namespace
}  // namespace wherry
