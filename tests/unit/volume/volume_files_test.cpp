// Files of ConfigMaps and Secrets: Kubernetes' layout, swapped as a whole.

#include "runtime/volume/volume_files.h"

#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "base/files.h"
#include "runtime/volume/directory.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using testing::StartsWith;

class VolumeFilesTest : public testing::Test {
 protected:
  ~VolumeFilesTest() override { failpoints_arm(""); }

  Status write(const std::vector<VolumeFile>& files, std::optional<int64_t> group = {}) {
    return write_volume_files(dir, files, group, WallTime(std::chrono::hours(24 * 365)));
  }
  std::string read(const std::string& name) { return read_file(dir + "/" + name).value_or("(no)"); }
  std::string data() {
    char text[256] = {};
    return readlink((dir + "/..data").c_str(), text, sizeof text - 1) < 0 ? "" : text;
  }
  mode_t mode(const std::string& name) {
    struct stat info {};
    return stat((dir + "/" + name).c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
  // Everything there, the volume's own names without their time.
  std::set<std::string> names() {
    std::set<std::string> all;
    const std::vector<std::string> present = names_in(dir).value_or(std::vector<std::string>());
    for (const std::string& name : present) {
      all.insert(name != "..data" && name.starts_with("..") ? "..time" : name);
    }
    return all;
  }

  const test::TempDir temp;
  const std::string dir = temp.path();
};

TEST_F(VolumeFilesTest, LooksAsInKubernetes) {
  const mode_t before = umask(077);
  ASSERT_TRUE(write({{"a.conf", "one", 0644}, {"deep/er/b", "two", 0400}}));
  umask(before);
  EXPECT_EQ(read("a.conf"), "one");
  EXPECT_EQ(read("deep/er/b"), "two");
  EXPECT_EQ(mode("a.conf"), 0644U);
  EXPECT_EQ(mode("deep/er/b"), 0400U);
  EXPECT_EQ(mode("deep/er"), 0755U);
  EXPECT_THAT(data(), StartsWith("..1971_01_01_00_00_00."));
  char text[64] = {};
  ASSERT_GT(readlink((dir + "/a.conf").c_str(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "..data/a.conf");
  EXPECT_EQ(names(), (std::set<std::string>{"..data", "..time", "a.conf", "deep"}));
}

TEST_F(VolumeFilesTest, AChangeShowsAllAtOnceAndLeavesNothingOld) {
  ASSERT_TRUE(write({{"a", "1", 0644}, {"gone", "1", 0644}, {"tree/x", "1", 0644}}));
  const std::string old = data();
  const int held = open((dir + "/a").c_str(), O_RDONLY);
  ASSERT_TRUE(write({{"a", "2", 0644}, {"new", "2", 0600}, {"tree", "2", 0644}}));
  EXPECT_NE(data(), old);
  EXPECT_EQ(read("a"), "2");
  EXPECT_EQ(read("new"), "2");
  EXPECT_EQ(read("tree"), "2");
  EXPECT_EQ(names(), (std::set<std::string>{"..data", "..time", "a", "new", "tree"}));
  char byte = 0;
  EXPECT_EQ(::read(held, &byte, 1), 1);
  EXPECT_EQ(byte, '1') << "who has the old file open keeps it";
  close(held);
}

TEST_F(VolumeFilesTest, WritesNothingWhereNothingChanged) {
  const std::vector<VolumeFile> files{{"a", "1", 0644}};
  ASSERT_TRUE(write(files));
  const std::string before = data();
  ASSERT_TRUE(write(files));
  EXPECT_EQ(data(), before);
  ASSERT_TRUE(write({{"a", "1", 0600}}));
  EXPECT_NE(data(), before) << "a mode is a change";
}

TEST_F(VolumeFilesTest, AnEmptyVolumeIsOne) {
  ASSERT_TRUE(write({}));
  EXPECT_EQ(names(), (std::set<std::string>{"..data", "..time"}));
}

TEST_F(VolumeFilesTest, MendsWhatAPowerCutTore) {
  ASSERT_TRUE(write({{"a", "content", 0644}}));
  std::ofstream(dir + "/..data/a", std::ios::trunc).flush();
  ASSERT_TRUE(write({{"a", "content", 0644}}));
  EXPECT_EQ(read("a"), "content");
}

TEST_F(VolumeFilesTest, AfterDyingAtAnyStepOldOrNewShowsAndTheNextCallCompletesIt) {
  const std::vector<VolumeFile> old{{"a", "1", 0644}, {"b", "1", 0644}};
  const std::vector<VolumeFile> now{{"a", "2", 0644}, {"c", "2", 0644}};
  for (const char* step : {"volume.files.written", "volume.files.swapped"}) {
    ASSERT_TRUE(write(old));
    failpoints_arm(std::string(step) + "=error");
    EXPECT_FALSE(write(now)) << step;
    failpoints_arm("");
    const std::string seen = read("..data/a") + read("..data/c");
    EXPECT_TRUE(seen == "1(no)" || seen == "22") << step << " " << seen;
    ASSERT_TRUE(write(now)) << step;
    EXPECT_EQ(read("a") + read("c"), "22");
    EXPECT_EQ(names(), (std::set<std::string>{"..data", "..time", "a", "c"})) << step;
  }
}

TEST_F(VolumeFilesTest, TheGroupMayReadWhatOthersMayNot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(write({{"key", "s", 0400}}, 4711));
  struct stat info {};
  ASSERT_EQ(stat((dir + "/key").c_str(), &info), 0);
  EXPECT_EQ(info.st_gid, 4711U);
  EXPECT_EQ(info.st_mode & 0777, 0440U);
}

}  // namespace
}  // namespace wherry::runtime
