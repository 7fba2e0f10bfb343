// Parts of volumes, claims, Secrets in memory and groups: what a workload may have put in a volume
// must not lead out of it.

#include "runtime/volume/sub_path.h"

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "base/files.h"
#include "runtime/volume/directory.h"
#include "runtime/volume/volumes.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class VolumePartsTest : public testing::Test {
 protected:
  VolumePartsTest() {
    write(dir + "/resolv", "");
    volumes.emplace(dir + "/state", dir + "/run", HostFiles{dir + "/resolv", dir + "/resolv", ""});
    pod.name = "web";
    container.name = "main";
    Volume data;
    data.name = "data";
    pod.volumes = {data};
  }
  ~VolumePartsTest() override {
    failpoints_arm("");
    static_cast<void>(volumes->remove("web"));
  }

  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
  }
  static std::string read(const std::string& path) { return read_file(path).value_or("(none)"); }
  std::string data(const std::string& name = "") {
    return dir + "/state/pods/web/volumes/data" + (name.empty() ? "" : "/" + name);
  }
  // Where the container's only mount comes from.
  Result<std::string> part(const std::string& sub_path, const std::string& volume = "data") {
    container.mounts = {{volume, "/x", false, sub_path}};
    if (Status ready = volumes->prepare(pod, {""}); !ready) return fail(ready.error());
    const auto binds = volumes->mounts(pod, container);
    if (!binds) return fail(binds.error());
    return binds->back().source;
  }
  std::string mounts_below() {
    std::string found;
    std::ifstream file("/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
      if (line.find(dir) != std::string::npos) found += line + "\n";
    }
    return found;
  }
  static Volume files(const std::string& name, std::vector<VolumeFile> content, bool memory) {
    Volume volume;
    volume.name = name;
    volume.kind = Volume::Kind::Files;
    volume.files = std::move(content);
    volume.memory = memory;
    return volume;
  }

  const test::TempDir temp;
  const std::string dir = temp.path();
  PodSpec pod;
  ContainerSpec container;
  std::optional<Volumes> volumes;
};

TEST_F(VolumePartsTest, ShowsThePartAndMakesWhatIsMissing) {
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  ASSERT_TRUE(make_directories(data("a/b")));
  write(data("a/b/file"), "inside");
  auto source = part("a/b");
  ASSERT_TRUE(source) << source.error().full();
  EXPECT_EQ(read(*source + "/file"), "inside");
  source = part("a/b/file");
  ASSERT_TRUE(source) << source.error().full();
  EXPECT_EQ(read(*source), "inside");
  const mode_t before = umask(077);
  source = part("new/deep");
  umask(before);
  ASSERT_TRUE(source) << source.error().full();
  write(*source + "/made", "through");
  EXPECT_EQ(read(data("new/deep/made")), "through");
  struct stat info {};
  ASSERT_EQ(stat(data("new/deep").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0777U) << "as the volume itself";
}

TEST_F(VolumePartsTest, NoLinkLeadsOutOfTheVolume) {
  write(dir + "/secret", "the host's");
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  ASSERT_TRUE(make_directories(data("in")));
  ASSERT_EQ(symlink(dir.c_str(), data("absolute").c_str()), 0);
  ASSERT_EQ(symlink("../../../../..", data("up").c_str()), 0);
  ASSERT_EQ(symlink("/proc/self/root", data("magic").c_str()), 0);
  ASSERT_EQ(symlink("in", data("good").c_str()), 0);
  ASSERT_EQ(symlink("../up/secret", data("in/up").c_str()), 0);
  for (const char* path : {"absolute", "absolute/secret", "up", "up/new", "magic/etc", "in/up",
                           "good/../../x", "absolute/new/dir"}) {
    const auto source = part(path);
    ASSERT_FALSE(source) << path;
    EXPECT_EQ(source.error().reason(), "CreateContainerConfigError") << path;
  }
  EXPECT_THAT(part("absolute").error().full(), HasSubstr("leads out of the volume"));
  EXPECT_EQ(access((dir + "/new").c_str(), F_OK), -1) << "made outside of the volume";
  EXPECT_TRUE(part("good")) << "a link within the volume is one as any";
}

TEST_F(VolumePartsTest, OfGivenFilesNothingIsMade) {
  pod.volumes = {files("conf", {{"a", "1", 0644}}, false)};
  auto source = part("a", "conf");
  ASSERT_TRUE(source) << source.error().full();
  EXPECT_EQ(read(*source), "1");
  source = part("b", "conf");
  ASSERT_FALSE(source);
  EXPECT_THAT(source.error().full(), HasSubstr("is not in the volume"));
}

TEST_F(VolumePartsTest, AnotherStartShowsWhatIsThereThen) {
  pod.volumes = {files("conf", {{"a", "1", 0644}}, false)};
  ASSERT_TRUE(part("a", "conf"));
  pod.volumes = {files("conf", {{"a", "2", 0644}}, false)};
  const auto source = part("a", "conf");
  ASSERT_TRUE(source);
  EXPECT_EQ(read(*source), "2");
}

TEST_F(VolumePartsTest, RemovingLeavesNoMount) {
  pod.volumes.push_back(files("token", {{"t", "1", 0400}}, true));
  ASSERT_TRUE(part("a"));
  ASSERT_TRUE(part("t", "token"));
  EXPECT_FALSE(mounts_below().empty());
  for (const char* step : {"volume.subpath.found", "volume.subpath.bound"}) {
    failpoints_arm(std::string(step) + "=error");
    EXPECT_FALSE(part("a")) << step;
    failpoints_arm("");
  }
  // Another life, as after a SIGKILL.
  volumes.emplace(dir + "/state", dir + "/run", HostFiles{dir + "/resolv", dir + "/resolv", ""});
  ASSERT_TRUE(volumes->remove("web"));
  EXPECT_THAT(mounts_below(), IsEmpty());
  EXPECT_THAT(*volumes->list(), IsEmpty());
}

TEST_F(VolumePartsTest, SecretsAreInMemoryOnly) {
  pod.volumes = {files("token", {{"t", "hidden", 0400}}, true)};
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  const std::string at = dir + "/run/pods/web/volumes/token";
  EXPECT_EQ(read(at + "/t"), "hidden");
  struct statfs info {};
  ASSERT_EQ(statfs(at.c_str(), &info), 0);
  EXPECT_EQ(info.f_type, 0x01021994);  // TMPFS_MAGIC
  ASSERT_EQ(umount(at.c_str()), 0);    // as a reboot does
  EXPECT_EQ(read(at + "/t"), "(none)");
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  EXPECT_EQ(read(at + "/t"), "hidden");
}

TEST_F(VolumePartsTest, GivenFilesAreReadOnly) {
  pod.volumes = {files("conf", {{"a", "1", 0644}}, false)};
  container.mounts = {{"conf", "/x", false}};
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  EXPECT_TRUE(volumes->mounts(pod, container)->back().read_only);
}

TEST_F(VolumePartsTest, AClaimOutlivesItsPods) {
  Volume volume;
  volume.name = "v";
  volume.kind = Volume::Kind::Claim;
  volume.claim = "store";
  pod.volumes = {volume};
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  const std::string at = dir + "/state/claims/store";
  struct stat info {};
  ASSERT_EQ(stat(at.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0777U);
  write(at + "/kept", "data");
  ASSERT_TRUE(volumes->remove("web"));
  EXPECT_EQ(read(at + "/kept"), "data");
  EXPECT_THAT(*volumes->list(), IsEmpty()) << "a claim is no leftover of a Pod";
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  EXPECT_EQ(read(at + "/kept"), "data");
  pod.volumes[0].claim = "../pods";
  EXPECT_FALSE(volumes->prepare(pod, {""}));
}

TEST_F(VolumePartsTest, FsGroupOwnsWhatIsThereButFollowsNoLink) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  write(dir + "/outside", "");
  ASSERT_EQ(chmod((dir + "/outside").c_str(), 0600), 0);
  Volume volume;
  volume.name = "v";
  volume.kind = Volume::Kind::Claim;
  volume.claim = "store";
  pod.volumes = {volume};
  const std::string at = dir + "/state/claims/store";
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  ASSERT_TRUE(make_directories(at + "/d", 0700));
  write(at + "/d/f", "");
  ASSERT_EQ(chmod((at + "/d/f").c_str(), 0600), 0);
  ASSERT_EQ(symlink((dir + "/outside").c_str(), (at + "/link").c_str()), 0);
  pod.fs_group = 4711;
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  const auto look = [](const std::string& path) {
    struct stat info {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info;
  };
  EXPECT_EQ(look(at).st_gid, 4711U);
  EXPECT_EQ(look(at).st_mode & 07777, 02777U);
  EXPECT_EQ(look(at + "/d").st_mode & 07777, 02770U);
  EXPECT_EQ(look(at + "/d/f").st_gid, 4711U);
  EXPECT_EQ(look(at + "/d/f").st_mode & 0777, 0660U);
  EXPECT_EQ(look(dir + "/outside").st_gid, 0U);
  EXPECT_EQ(look(dir + "/outside").st_mode & 0777, 0600U);
}

TEST_F(VolumePartsTest, FsGroupOnlyWhereTheRootDiffersIfSaidSo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  Volume volume;
  volume.name = "v";
  volume.kind = Volume::Kind::Claim;
  volume.claim = "store";
  pod.volumes = {volume};
  pod.fs_group = 4711;
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  const std::string file = dir + "/state/claims/store/f";
  write(file, "");
  ASSERT_EQ(chown(file.c_str(), 0, 1), 0);
  const auto group = [&] {
    struct stat info {};
    return stat(file.c_str(), &info) == 0 ? info.st_gid : 0;
  };
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  EXPECT_EQ(group(), 1U) << "once for each Pod";
  ASSERT_TRUE(volumes->remove("web"));
  pod.fs_group_if_needed = true;
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  EXPECT_EQ(group(), 1U) << "the root is as it should be";
  ASSERT_TRUE(volumes->remove("web"));
  pod.fs_group_if_needed = false;
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  EXPECT_EQ(group(), 4711U);
}

}  // namespace
}  // namespace wherry::runtime
