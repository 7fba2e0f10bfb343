#include "runtime/volume/volumes.h"

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "base/files.h"

namespace wherry::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class VolumesTest : public testing::Test {
 protected:
  VolumesTest() {
    char name[] = "/tmp/wherry-volume-XXXXXX";
    dir = mkdtemp(name);
    files = {dir + "/host-hosts", dir + "/host-resolv", dir + "/upstream-resolv"};
    write(files.hosts, "10.0.0.1 host\n");
    write(files.resolv_conf, "nameserver 10.0.0.53\nsearch lan\n");
    pod.name = "web";
    pod.hostname = "web-host";
    container.name = "main";
    volumes.emplace(dir + "/state", dir + "/run", files);
  }
  ~VolumesTest() override {
    failpoints_arm("");
    const auto left = volumes->list();
    for (const std::string& name : *left) static_cast<void>(volumes->remove(name));
    static_cast<void>(remove_tree(dir));
  }

  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
  }
  static std::string read(const std::string& path) { return read_file(path).value_or("(none)"); }
  std::string file(const std::string& name) const { return dir + "/run/pods/web/" + name; }

  Volume host_path(const std::string& path, HostPathType type) {
    Volume volume;
    volume.name = "v";
    volume.kind = Volume::Kind::HostPath;
    volume.host_path = path;
    volume.host_path_type = type;
    return volume;
  }
  Volume disk() {
    Volume volume;
    volume.name = "data";
    return volume;
  }
  Volume memory(int64_t size) {
    Volume volume;
    volume.name = "mem";
    volume.memory = true;
    volume.size_limit = size;
    return volume;
  }

  std::string dir;
  HostFiles files;
  PodSpec pod;
  ContainerSpec container;
  std::optional<Volumes> volumes;
};

TEST_F(VolumesTest, GiveAPodAUidUntilItIsRemoved) {
  const std::string uid = volumes->uid("web").value_or("");
  EXPECT_THAT(uid, testing::MatchesRegex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
  EXPECT_NE(volumes->uid("other").value_or(""), uid);
  volumes.emplace(dir + "/state", dir + "/run", files);  // the next agent
  Volume info;
  info.name = "info";
  info.kind = Volume::Kind::Files;
  info.files = {{"name", "web"}, {"uid", std::string(kPodUidMark)}};
  pod.volumes = {info};
  ASSERT_TRUE(volumes->prepare(pod, {}));
  EXPECT_EQ(read(volumes->source_of("web", info) + "/uid"), uid);
  EXPECT_EQ(read(volumes->source_of("web", info) + "/name"), "web");
  ASSERT_TRUE(volumes->remove("web"));
  EXPECT_NE(volumes->uid("web").value_or(""), uid) << "a Pod of the same name is another";
}

TEST_F(VolumesTest, MakesAnEmptyDirOnDiskForAnyUser) {
  pod.volumes = {disk()};
  const mode_t before = umask(077);
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  umask(before);
  struct stat info {};
  ASSERT_EQ(stat((dir + "/state/pods/web/volumes/data").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0777U);
  ASSERT_EQ(stat((dir + "/state/pods").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
}

TEST_F(VolumesTest, PreparingAgainKeepsContent) {
  pod.volumes = {disk(), memory(1 << 20)};
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  write(dir + "/state/pods/web/volumes/data/file", "kept");
  write(dir + "/run/pods/web/volumes/mem/file", "kept");
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  EXPECT_EQ(read(dir + "/state/pods/web/volumes/data/file"), "kept");
  EXPECT_EQ(read(dir + "/run/pods/web/volumes/mem/file"), "kept");
}

TEST_F(VolumesTest, MountsMemoryOfTheSizeAskedFor) {
  pod.volumes = {memory(1 << 20)};
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  struct statfs info {};
  ASSERT_EQ(statfs((dir + "/run/pods/web/volumes/mem").c_str(), &info), 0);
  EXPECT_EQ(info.f_type, 0x01021994);  // TMPFS_MAGIC
  EXPECT_EQ(static_cast<int64_t>(info.f_blocks) * info.f_bsize, 1 << 20);
}

TEST_F(VolumesTest, MountsHugePagesOfTheSizeAskedFor) {
  if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) != 0) {
    GTEST_SKIP() << "this kernel has no such pages";
  }
  Volume huge = memory(4 << 20);
  huge.memory = false;
  huge.huge_page = 2 << 20;
  pod.volumes = {huge};
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  ASSERT_TRUE(volumes->prepare(pod, {""})) << "it is there already";
  struct statfs info {};
  ASSERT_EQ(statfs((dir + "/run/pods/web/volumes/mem").c_str(), &info), 0);
  EXPECT_EQ(static_cast<uint32_t>(info.f_type), 0x958458f6U);  // HUGETLBFS_MAGIC
  EXPECT_EQ(info.f_bsize, 2 << 20);
  ASSERT_TRUE(volumes->remove("web"));
  EXPECT_NE(statfs((dir + "/run/pods/web/volumes/mem").c_str(), &info), 0);
}

TEST_F(VolumesTest, RemovesEverythingButWhatIsNotItsOwn) {
  mkdir((dir + "/precious").c_str(), 0755);
  write(dir + "/precious/file", "kept");
  pod.volumes = {disk(), memory(0), host_path(dir + "/precious", HostPathType::Directory)};
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  ASSERT_EQ(symlink((dir + "/precious").c_str(), (dir + "/state/pods/web/volumes/data/l").c_str()),
            0);
  EXPECT_THAT(*volumes->list(), ElementsAre("web"));
  ASSERT_TRUE(volumes->remove("web"));
  ASSERT_TRUE(volumes->remove("web"));
  EXPECT_THAT(*volumes->list(), IsEmpty());
  EXPECT_EQ(read(dir + "/precious/file"), "kept");
}

TEST_F(VolumesTest, NeverDescendsIntoAForeignMount) {
  pod.volumes = {disk()};
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  const std::string mounted = dir + "/state/pods/web/volumes/data/m";
  mkdir(mounted.c_str(), 0755);
  ASSERT_EQ(mount("tmpfs", mounted.c_str(), "tmpfs", 0, ""), 0);
  write(mounted + "/file", "kept");
  EXPECT_FALSE(volumes->remove("web"));
  EXPECT_EQ(read(mounted + "/file"), "kept");
  ASSERT_EQ(umount(mounted.c_str()), 0);
  EXPECT_TRUE(volumes->remove("web"));
}

TEST_F(VolumesTest, ContinuesAfterDyingAtAnyStep) {
  pod.volumes = {memory(0), disk()};
  for (const char* step : {"volume.prepare.made", "volume.prepare.volumes"}) {
    failpoints_arm(std::string(step) + "=error");
    EXPECT_FALSE(volumes->prepare(pod, {""})) << step;
    failpoints_arm("");
    EXPECT_TRUE(volumes->prepare(pod, {""})) << step;
  }
  for (const char* step : {"volume.remove.unmounted", "volume.remove.files"}) {
    failpoints_arm(std::string(step) + "=error");
    EXPECT_FALSE(volumes->remove("web")) << step;
    EXPECT_THAT(*volumes->list(), ElementsAre("web")) << step;
  }
  failpoints_arm("");
  EXPECT_TRUE(volumes->remove("web"));
  EXPECT_THAT(*volumes->list(), IsEmpty());
}

TEST_F(VolumesTest, RefusesNamesThatAreNoDirectory) {
  for (const char* name : {"", "..", "a/b"}) {
    EXPECT_EQ(volumes->remove(name).error().code(), Code::InvalidArgument) << name;
  }
}

struct HostPathCase {
  const char* what;
  HostPathType type;
  bool ok;
};

TEST_F(VolumesTest, ChecksHostPathsByTheirType) {
  using T = HostPathType;
  mkdir((dir + "/d").c_str(), 0755);
  write(dir + "/f", "");
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (dir + "/s").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(mknod((dir + "/c").c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
  ASSERT_EQ(mknod((dir + "/b").c_str(), S_IFBLK | 0600, makedev(7, 0)), 0);
  const HostPathCase cases[] = {
      {"d", T::Directory, true},
      {"f", T::Directory, false},
      {"none", T::Directory, false},
      {"f", T::File, true},
      {"d", T::File, false},
      {"none", T::File, false},
      {"s", T::Socket, true},
      {"f", T::Socket, false},
      {"c", T::CharDevice, true},
      {"b", T::CharDevice, false},
      {"b", T::BlockDevice, true},
      {"c", T::BlockDevice, false},
      {"f", T::Unset, true},
      {"f", T::DirectoryOrCreate, false},
      {"d", T::FileOrCreate, false},
      {"new/dir", T::DirectoryOrCreate, true},
      {"newfile", T::FileOrCreate, true},
      {"no/dir/newfile", T::FileOrCreate, false},
      {"unset", T::Unset, true},
  };
  for (const HostPathCase& c : cases) {
    pod.volumes = {host_path(dir + "/" + c.what, c.type)};
    const Status done = volumes->prepare(pod, {""});
    EXPECT_EQ(done.has_value(), c.ok) << c.what << " " << static_cast<int>(c.type);
    if (!done) {
      EXPECT_EQ(done.error().reason(), "CreateContainerConfigError");
    }
  }
  close(listener);
  struct stat info {};
  EXPECT_TRUE(stat((dir + "/new/dir").c_str(), &info) == 0 && S_ISDIR(info.st_mode));
  EXPECT_TRUE(stat((dir + "/newfile").c_str(), &info) == 0 && S_ISREG(info.st_mode));
  EXPECT_TRUE(stat((dir + "/unset").c_str(), &info) == 0 && S_ISDIR(info.st_mode));
  pod.volumes = {host_path("relative", T::Unset)};
  EXPECT_FALSE(volumes->prepare(pod, {""}));
}

TEST_F(VolumesTest, WritesTheSmallFiles) {
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  EXPECT_THAT(read(file("hosts")), HasSubstr("127.0.0.1\tlocalhost\n"));
  EXPECT_THAT(read(file("hosts")), HasSubstr("10.89.0.2\tweb-host\n"));
  EXPECT_EQ(read(file("hostname")), "web-host\n");
  EXPECT_EQ(read(file("resolv.conf")), "nameserver 10.0.0.53\nsearch lan\n");
}

TEST_F(VolumesTest, ANewAddressReachesRunningContainers) {
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  struct stat before {};
  ASSERT_EQ(stat(file("hosts").c_str(), &before), 0);
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.3"}));
  struct stat after {};
  ASSERT_EQ(stat(file("hosts").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_THAT(read(file("hosts")), HasSubstr("10.89.0.3\tweb-host\n"));
  EXPECT_THAT(read(file("hosts")), Not(HasSubstr("10.89.0.2")));
}

TEST_F(VolumesTest, AliasesAreLinesOfTheHostsFile) {
  pod.host_aliases = {{"10.1.1.1", {"plc", "plc.lan"}}, {"fd00::1", {"six"}}};
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  EXPECT_THAT(read(file("hosts")),
              HasSubstr("10.89.0.2\tweb-host\n10.1.1.1\tplc\tplc.lan\nfd00::1\tsix\n"));
  pod.host_network = true;
  ASSERT_TRUE(volumes->prepare(pod, {}));
  EXPECT_THAT(read(file("hosts")), StartsWith("10.0.0.1 host\n10.1.1.1\tplc\tplc.lan\n"));
}

TEST_F(VolumesTest, WhatThePodAsksOfDnsIsAddedToTheDevices) {
  write(files.resolv_conf,
        "nameserver 10.0.0.53\ndomain old\nsearch lan office\noptions "
        "ndots:1 edns0\nsortlist 10.0.0.0\n");
  pod.dns.nameservers = {"10.0.0.53", "9.9.9.9", "1.1.1.1", "1.0.0.1"};
  pod.dns.searches = {"plant", "lan"};
  pod.dns.options = {"ndots:2", "rotate"};
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  EXPECT_EQ(read(file("resolv.conf")),
            "sortlist 10.0.0.0\nnameserver 10.0.0.53\nnameserver 9.9.9.9\nnameserver "
            "1.1.1.1\nsearch lan office plant\noptions ndots:2 edns0 rotate\n");
  pod.dns = {false, {"9.9.9.9"}, {}, {}};
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  EXPECT_EQ(read(file("resolv.conf")), "nameserver 9.9.9.9\n");
}

TEST_F(VolumesTest, WorkloadsFindEachOtherByName) {
  PodSpec other = pod;
  other.name = other.hostname = "broker";
  PodSpec on_host = pod;
  on_host.name = "camera";
  on_host.host_network = true;
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2", "10.89.0.1"}));
  ASSERT_TRUE(volumes->prepare(other, {"10.89.0.3", "10.89.0.1"}));
  ASSERT_TRUE(volumes->prepare(on_host, {}));
  const auto names = [&](const std::string& name) {
    const std::string text = read(dir + "/run/pods/" + name + "/hosts");
    return text.substr(text.find(kNamesMark) + std::string(kNamesMark).size());
  };
  EXPECT_EQ(names("web"), "10.89.0.3\tbroker\n10.89.0.1\tcamera\n");
  EXPECT_EQ(names("broker"), "10.89.0.1\tcamera\n10.89.0.2\tweb\n");
  EXPECT_EQ(names("camera"), "10.89.0.3\tbroker\n10.89.0.2\tweb\n");

  // A new agent, a new address, and one that is gone.
  volumes.emplace(dir + "/state", dir + "/run", files);
  ASSERT_TRUE(volumes->prepare(other, {"10.89.0.9", ""}));
  EXPECT_EQ(names("web"), "10.89.0.9\tbroker\n10.89.0.1\tcamera\n");
  EXPECT_EQ(names("broker"), "10.89.0.2\tweb\n") << "no gateway, no way to the device";
  ASSERT_TRUE(volumes->remove("broker"));
  EXPECT_EQ(names("web"), "10.89.0.1\tcamera\n");
  ASSERT_TRUE(volumes->remove("camera"));
  EXPECT_EQ(names("web"), "");
}

TEST_F(VolumesTest, NamesOfAPodThatAKilledAgentTookAwayGoLater) {
  PodSpec other = pod;
  other.name = "broker";
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  ASSERT_TRUE(volumes->prepare(other, {"10.89.0.3"}));
  ASSERT_TRUE(remove_tree(dir + "/run/pods/broker"));
  EXPECT_THAT(read(file("hosts")), HasSubstr("broker"));
  volumes->refresh_names();
  EXPECT_THAT(read(file("hosts")), Not(HasSubstr("broker")));
}

TEST_F(VolumesTest, ManyPodsAtOnceAllKnowAllInTheEnd) {
  constexpr int kPods = 24;
  std::vector<std::thread> threads;
  for (int first = 0; first < 4; ++first) {
    threads.emplace_back([&, first] {
      for (int i = first; i < kPods; i += 4) {
        PodSpec one = pod;
        one.name = one.hostname = "pod-" + std::to_string(i);
        EXPECT_TRUE(volumes->prepare(one, {"10.89.1." + std::to_string(i)}));
        const bool removed = i % 3 != 0 || volumes->remove(one.name);
        EXPECT_TRUE(removed) << i;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kPods; ++i) {
    if (i % 3 == 0) continue;
    const std::string text = read(dir + "/run/pods/pod-" + std::to_string(i) + "/hosts");
    for (int j = 0; j < kPods; ++j) {
      const std::string line =
          "\n10.89.1." + std::to_string(j) + "\tpod-" + std::to_string(j) + "\n";
      EXPECT_EQ(text.find(line) != std::string::npos, j % 3 != 0) << i << " of " << j;
    }
  }
}

TEST_F(VolumesTest, LeavesOutNameserversOnTheHostsLoopback) {
  write(files.resolv_conf,
        "# c\nnameserver 127.0.0.53\nnameserver 9.9.9.9 # x\nnameserver fe80::1%eth0\noptions "
        "edns0\n");
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  EXPECT_EQ(read(file("resolv.conf")), "# c\nnameserver 9.9.9.9 # x\noptions edns0\n");
}

TEST_F(VolumesTest, FindsTheServersBehindSystemdResolved) {
  write(files.resolv_conf, "nameserver 127.0.0.53\n");
  write(files.resolved_upstream, "nameserver 192.168.1.1\n");
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  EXPECT_EQ(read(file("resolv.conf")), "nameserver 192.168.1.1\n");
}

TEST_F(VolumesTest, HostNetworkKeepsTheHostsFiles) {
  pod.host_network = true;
  write(files.resolv_conf, "nameserver 127.0.0.53\n");
  ASSERT_TRUE(volumes->prepare(pod, {""}));
  EXPECT_EQ(read(file("hosts")), std::string("10.0.0.1 host\n") + kNamesMark);
  EXPECT_EQ(read(file("resolv.conf")), "nameserver 127.0.0.53\n");
}

TEST_F(VolumesTest, AHostWithoutResolvConfIsNoError) {
  unlink(files.resolv_conf.c_str());
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  EXPECT_EQ(read(file("resolv.conf")), "");
}

std::vector<std::string> destinations(const std::vector<BindMount>& binds) {
  std::vector<std::string> all;
  for (const BindMount& bind : binds) all.push_back(bind.destination);
  return all;
}

TEST_F(VolumesTest, ListsBindMountsParentsFirst) {
  pod.volumes = {disk(), memory(0), host_path("/srv/x", HostPathType::Unset)};
  container.mounts = {{"data", "/var/lib/app/data/", false},
                      {"mem", "/var/lib/app", true},
                      {"v", "/etc/hosts", false}};
  const auto binds = volumes->mounts(pod, container);
  ASSERT_TRUE(binds);
  EXPECT_THAT(destinations(*binds),
              ElementsAre("/dev/termination-log", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
                          "/var/lib/app", "/var/lib/app/data"));
  EXPECT_EQ((*binds)[2].source, "/srv/x");
  EXPECT_EQ((*binds)[4].source, dir + "/run/pods/web/volumes/mem");
  EXPECT_TRUE((*binds)[4].read_only);
  EXPECT_EQ((*binds)[5].source, dir + "/state/pods/web/volumes/data");
  EXPECT_FALSE((*binds)[1].read_only);
}

TEST_F(VolumesTest, AReadOnlyContainerCannotWriteTheSmallFiles) {
  container.security.read_only_root_filesystem = true;
  const auto binds = volumes->mounts(pod, container);
  ASSERT_TRUE(binds);
  for (const BindMount& bind : *binds) {
    EXPECT_EQ(bind.read_only, bind.destination != "/dev/termination-log") << bind.destination;
  }
}

TEST_F(VolumesTest, LastWordsBeginEmptyAndAreBounded) {
  container.name = "app";
  container.message_path = "/tmp/words/";
  auto binds = volumes->mounts(pod, container);
  ASSERT_TRUE(binds);
  EXPECT_EQ(binds->back().destination, "/tmp/words");
  const std::string path = binds->back().source;
  EXPECT_EQ(path, volumes->message_file("web", "app"));
  EXPECT_EQ(volumes->read_message("web", "app"), "");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666U) << "any user of the container may write it";
  write(path, std::string(5000, 'x') + "end");
  EXPECT_EQ(volumes->read_message("web", "app"), std::string(4093, 'x') + "end");
  ASSERT_TRUE(volumes->mounts(pod, container));
  EXPECT_EQ(volumes->read_message("web", "app"), "") << "of the next attempt";
  EXPECT_EQ(volumes->read_message("web", "other"), "");
  container.mounts = {{"v", "/tmp/words", false}};
  pod.volumes = {host_path("/srv/x", HostPathType::Unset)};
  binds = volumes->mounts(pod, container);
  ASSERT_TRUE(binds);
  EXPECT_EQ(binds->back().source, "/srv/x") << "what the user mounts there wins";
}

TEST_F(VolumesTest, SeveralContainersShareTheirMemory) {
  EXPECT_EQ(volumes->ipc_path(pod), "");
  pod.containers = {container, container};
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  const std::string ipc = volumes->ipc_path(pod);
  struct stat own {
  }, shared{}, again{};
  ASSERT_EQ(stat("/proc/self/ns/ipc", &own), 0);
  ASSERT_EQ(stat(ipc.c_str(), &shared), 0);
  EXPECT_NE(own.st_ino, shared.st_ino);
  ASSERT_TRUE(volumes->prepare(pod, {"10.89.0.2"}));
  ASSERT_EQ(stat(ipc.c_str(), &again), 0);
  EXPECT_EQ(again.st_ino, shared.st_ino);
  const auto binds = volumes->mounts(pod, container);
  ASSERT_TRUE(binds);
  EXPECT_EQ(destinations(*binds).front(), "/dev/shm");
  ASSERT_TRUE(volumes->remove("web"));
  EXPECT_NE(stat(ipc.c_str(), &again), 0);
}

TEST_F(VolumesTest, RefusesAMountOfNoVolume) {
  container.mounts = {{"nothing", "/x", false}};
  const auto binds = volumes->mounts(pod, container);
  ASSERT_FALSE(binds);
  EXPECT_EQ(binds.error().reason(), "CreateContainerConfigError");
}

}  // namespace
}  // namespace wherry::runtime
