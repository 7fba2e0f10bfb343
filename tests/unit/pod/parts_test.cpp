// The small parts of the Pod runtime, on files in a temporary directory.

#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/text.h"
#include "runtime/pod/cgroups.h"
#include "runtime/pod/known_containers.h"
#include "runtime/pod/layer_files.h"
#include "runtime/pod/start_notes.h"

namespace wherry::runtime {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class Directory : public testing::Test {
 protected:
  Directory() : path_(fs::temp_directory_path() / ("wherry-pod-" + random_hex(8))) {
    fs::create_directories(path_);
  }
  ~Directory() override { fs::remove_all(path_); }
  void write(const std::string& file, const std::string& text) {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
  }
  std::string at(const std::string& name) const { return (path_ / name).string(); }

  fs::path path_;
};

using CgroupsTest = Directory;

TEST_F(CgroupsTest, CountsKillsForMemoryOfBothVersions) {
  write("mountinfo", "30 23 0:26 / " + at("v1/memory") +
                         " rw,relatime shared:9 - cgroup cgroup rw,memory\n"
                         "31 23 0:27 / " +
                         at("v2") +
                         " rw - cgroup2 cgroup rw\n"
                         "32 23 0:28 / " +
                         at("proc") + " rw - proc proc rw\n");
  const Cgroups cgroups(at("mountinfo"));
  write("v1/memory/wherry/a/1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  write("v1/memory/wherry/a/2/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  write("v2/wherry/b/1/memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n");
  write("v2/wherry/b/2/memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 0\n");
  EXPECT_TRUE(cgroups.oom_killed("/wherry/a/1"));
  EXPECT_FALSE(cgroups.oom_killed("/wherry/a/2"));
  EXPECT_TRUE(cgroups.oom_killed("/wherry/b/1"));
  EXPECT_FALSE(cgroups.oom_killed("/wherry/b/2"));
  EXPECT_FALSE(cgroups.oom_killed("/wherry/gone/1"));
}

TEST_F(CgroupsTest, SharesTheProcessorAndReadsMemoryOfBothVersions) {
  write("mountinfo", "30 23 0:26 / " + at("v1") + " rw - cgroup cgroup rw,cpu\n31 23 0:27 / " +
                         at("v2") + " rw - cgroup2 cgroup rw\n");
  const Cgroups cgroups(at("mountinfo"));
  write("v1/wherry/a/cpu.shares", "1024\n");
  write("v2/wherry/b/cpu.weight", "100\n");
  EXPECT_TRUE(cgroups.set_cpu_shares("/wherry/a", 512));
  EXPECT_TRUE(cgroups.set_cpu_shares("/wherry/b", 1024));
  EXPECT_FALSE(cgroups.set_cpu_shares("/wherry/gone", 1024));
  EXPECT_EQ(read_file(at("v1/wherry/a/cpu.shares")), "512");
  EXPECT_EQ(read_file(at("v2/wherry/b/cpu.weight")), "39") << "as runc translates it";

  write("v1/wherry/a/memory.usage_in_bytes", "1000\n");
  write("v1/wherry/a/memory.stat", "cache 600\ninactive_file 7\ntotal_inactive_file 400\n");
  write("v2/wherry/b/memory.current", "500\n");
  write("v2/wherry/b/memory.stat", "anon 400\ninactive_file 100\n");
  EXPECT_EQ(cgroups.working_set("/wherry/a"), 600);
  EXPECT_EQ(cgroups.working_set("/wherry/b"), 400);
  EXPECT_FALSE(cgroups.working_set("/wherry/gone"));
}

TEST_F(CgroupsTest, RemovesEmptyDirectoriesOnly) {
  write("mountinfo", "30 23 0:26 / " + at("one") + " rw - cgroup cgroup rw\n31 23 0:27 / " +
                         at("two") + " rw - cgroup2 cgroup rw\n");
  const Cgroups cgroups(at("mountinfo"));
  fs::create_directories(at("one/wherry/web"));
  fs::create_directories(at("two/wherry/web/busy"));
  EXPECT_THAT(cgroups.children("/wherry"), ElementsAre("web"));
  cgroups.remove_empty("/wherry/web");
  EXPECT_FALSE(fs::exists(at("one/wherry/web")));
  EXPECT_TRUE(fs::exists(at("two/wherry/web/busy")));
  cgroups.remove_empty("/wherry/never-there");
}

using StartNotesTest = Directory;

TEST_F(StartNotesTest, KeepTheTimeOfAStart) {
  StartNotes notes(at("run/started"));
  EXPECT_THAT(notes.list(), IsEmpty());
  EXPECT_FALSE(notes.get("web-app-0"));
  const auto put = notes.put("web-app-0");
  ASSERT_TRUE(put) << put.error().full();
  EXPECT_EQ(notes.get("web-app-0"), *put);
  EXPECT_EQ(StartNotes(at("run/started")).get("web-app-0"), *put) << "another agent reads it";
  EXPECT_THAT(notes.list(), ElementsAre("web-app-0"));
  notes.erase("web-app-0");
  notes.erase("web-app-0");
  EXPECT_FALSE(notes.get("web-app-0"));
}

TEST_F(StartNotesTest, SayWhereTheyCannotBeWritten) {
  write("file", "");
  StartNotes notes(at("file/started"));
  const auto put = notes.put("x");
  ASSERT_FALSE(put);
  EXPECT_THAT(put.error().full(), testing::HasSubstr("file"));
}

using LayerFilesTest = Directory;

TEST_F(LayerFilesTest, KnowWhereTheLayersOfAMountAre) {
  EXPECT_EQ(*layer_directories({{"bind", "/snapshots/1/fs", {"ro", "rbind"}}}),
            std::vector<std::string>{"/snapshots/1/fs"});
  EXPECT_EQ(*layer_directories({{"overlay", "overlay", {"index=off", "lowerdir=/b:/a"}}}),
            (std::vector<std::string>{"/b", "/a"}));
  EXPECT_EQ(layer_directories({{"btrfs", "/dev/sda1", {"subvol=x"}}}).error().code(),
            Code::FailedPrecondition);
  EXPECT_FALSE(layer_directories({}));
}

TEST_F(LayerFilesTest, ShowTheUppermostFile) {
  write("lower/etc/passwd", "lower");
  write("lower/etc/group", "group");
  write("upper/etc/passwd", "upper");
  const std::vector<std::string> layers{at("upper"), at("lower")};
  EXPECT_EQ(read_from_layers(layers, "etc/passwd"), "upper");
  EXPECT_EQ(read_from_layers(layers, "etc/group"), "group");
  EXPECT_EQ(read_from_layers(layers, "etc/shadow"), "");
}

TEST_F(LayerFilesTest, HonourWhiteouts) {
  write("lower/etc/passwd", "lower");
  fs::create_directories(at("upper/etc"));
  ASSERT_EQ(mknod(at("upper/etc/passwd").c_str(), S_IFCHR | 0600, makedev(0, 0)), 0);
  EXPECT_EQ(read_from_layers({at("upper"), at("lower")}, "etc/passwd"), "");
}

TEST_F(LayerFilesTest, NeverLeaveTheLayer) {
  write("secret", "secret");
  fs::create_directories(at("layer/etc"));
  fs::create_symlink(at("secret"), at("layer/etc/passwd"));
  fs::create_symlink("../../secret", at("layer/etc/group"));
  EXPECT_EQ(read_from_layers({at("layer")}, "etc/passwd"), "");
  EXPECT_EQ(read_from_layers({at("layer")}, "etc/group"), "");
}

TEST_F(LayerFilesTest, ReadNoFifosOrDirectories) {
  fs::create_directories(at("layer/etc/passwd"));
  ASSERT_EQ(mkfifo(at("layer/etc/group").c_str(), 0600), 0);
  EXPECT_EQ(read_from_layers({at("layer")}, "etc/passwd"), "");
  EXPECT_EQ(read_from_layers({at("layer")}, "etc/group"), "");
}

PodStatus pod_with(const std::string& pod, const std::string& id, const std::string& name) {
  PodStatus status;
  status.name = pod;
  ContainerStatus container;
  container.id = id;
  container.name = name;
  status.containers = {container};
  return status;
}

TEST(KnownContainers, AnythingMayExistBeforeTheFirstLook) {
  KnownContainers known;
  EXPECT_TRUE(known.may_exist("web", "app"));
  known.finish_look(known.begin_look(), {});
  EXPECT_FALSE(known.may_exist("web", "app"));
}

TEST(KnownContainers, KeepsWhatWasAddedDuringALook) {
  KnownContainers known;
  const uint64_t look = known.begin_look();
  known.add("id-1", "web", "app");
  known.finish_look(look, {});
  EXPECT_TRUE(known.may_exist("web", "app"));
  EXPECT_EQ(known.pod_of("id-1"), "web");
  known.finish_look(known.begin_look(), {});
  EXPECT_FALSE(known.may_exist("web", "app")) << "the next look did not find it";
  EXPECT_EQ(known.pod_of("id-1"), "");
}

TEST(KnownContainers, LearnsFromALook) {
  KnownContainers known;
  known.finish_look(known.begin_look(), {pod_with("web", "id-1", "app")});
  EXPECT_TRUE(known.may_exist("web", "app"));
  EXPECT_FALSE(known.may_exist("web", "side"));
  EXPECT_FALSE(known.may_exist("db", "app"));
  known.erase("id-1");
  EXPECT_FALSE(known.may_exist("web", "app"));
}

TEST(KnownContainers, RemembersAnOomUntilTheContainerGoes) {
  KnownContainers known;
  known.note_oom("stranger");
  EXPECT_FALSE(known.had_oom("stranger"));
  known.add("id-1", "web", "app");
  known.note_oom("id-1");
  EXPECT_TRUE(known.had_oom("id-1"));
  known.finish_look(known.begin_look(), {pod_with("web", "id-1", "app")});
  EXPECT_TRUE(known.had_oom("id-1"));
  known.erase("id-1");
  EXPECT_FALSE(known.had_oom("id-1"));
}

}  // namespace
}  // namespace wherry::runtime
