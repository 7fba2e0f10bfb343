#include "runtime/spec/oci_spec.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class OciSpec : public testing::Test {
 protected:
  OciSpec() {
    pod.name = "web";
    pod.hostname = "web-host";
    container.name = "main";
    image.cmd = {"/bin/server"};
    host.can_raise_rlimits = true;
    host.hostname = "device-7";
  }
  ~OciSpec() override {
    if (!rootfs.empty()) static_cast<void>(remove_tree(rootfs));
  }

  void with_rootfs(const std::string& passwd, const std::string& group) {
    char name[] = "/tmp/wherry-spec-XXXXXX";
    rootfs = mkdtemp(name);
    mkdir((rootfs + "/etc").c_str(), 0755);
    std::ofstream(rootfs + "/etc/passwd") << passwd;
    std::ofstream(rootfs + "/etc/group") << group;
  }

  Result<std::string> text() const {
    return make_oci_spec(
        {pod, container, image, host, "/wherry/web-0", "/run/netns/web", rootfs, mounts});
  }
  Json spec() const {
    const Result<std::string> made = text();
    EXPECT_TRUE(made) << made.error().full();
    return made ? Json::parse(*made) : Json();
  }
  void expect_config_error(const std::string& part) const {
    const Result<std::string> made = text();
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Code::InvalidArgument);
    EXPECT_EQ(made.error().reason(), "CreateContainerConfigError");
    EXPECT_THAT(made.error().full(), HasSubstr(part));
  }

  PodSpec pod;
  ContainerSpec container;
  ImageConfig image;
  HostFacts host;
  std::string rootfs;
  std::vector<BindMount> mounts;
};

Json mount_at(const Json& spec, const std::string& destination) {
  for (const Json& mount : spec["mounts"]) {
    if (mount["destination"] == destination) return mount;
  }
  return nullptr;
}

std::vector<std::string> destinations(const Json& spec) {
  std::vector<std::string> all;
  for (const Json& mount : spec["mounts"]) all.push_back(mount["destination"]);
  return all;
}

Json namespace_of(const Json& spec, const std::string& type) {
  for (const Json& entry : spec["linux"]["namespaces"]) {
    if (entry["type"] == type) return entry;
  }
  return nullptr;
}

bool has(const Json& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

TEST_F(OciSpec, GivesDefaultsThatConfine) {
  const Json made = spec();
  EXPECT_EQ(made["ociVersion"], "1.0.2");
  EXPECT_EQ(made["root"]["path"], "rootfs");
  EXPECT_EQ(made["root"]["readonly"], false);
  EXPECT_EQ(made["hostname"], "web-host");
  EXPECT_EQ(made["process"]["noNewPrivileges"], true);
  EXPECT_EQ(made["process"]["cwd"], "/");
  EXPECT_EQ(made["process"]["user"], (Json{{"uid", 0}, {"gid", 0}}));
  EXPECT_EQ(made["linux"]["cgroupsPath"], "/wherry/web-0");
  EXPECT_TRUE(has(made["linux"]["maskedPaths"], "/proc/kcore"));
  EXPECT_TRUE(has(made["linux"]["readonlyPaths"], "/proc/sys"));
  EXPECT_EQ(made["linux"]["resources"]["devices"],
            Json::parse(R"([{"allow":false,"access":"rwm"}])"));
  EXPECT_TRUE(has(mount_at(made, "/sys")["options"], "ro"));
  EXPECT_TRUE(has(mount_at(made, "/sys/fs/cgroup")["options"], "ro"));
  EXPECT_TRUE(has(mount_at(made, "/dev/shm")["options"], "size=65536k"));
  EXPECT_FALSE(made["linux"].contains("devices"));
}

TEST_F(OciSpec, GivesDockersCapabilities) {
  const Json capabilities = spec()["process"]["capabilities"];
  EXPECT_EQ(capabilities["bounding"],
            Json::parse(R"(["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_KILL",
              "CAP_SETGID","CAP_SETUID","CAP_SETPCAP","CAP_NET_BIND_SERVICE","CAP_NET_RAW",
              "CAP_SYS_CHROOT","CAP_MKNOD","CAP_AUDIT_WRITE","CAP_SETFCAP"])"));
  EXPECT_EQ(capabilities["effective"], capabilities["bounding"]);
  EXPECT_EQ(capabilities["permitted"], capabilities["bounding"]);
  EXPECT_FALSE(capabilities.contains("inheritable"));
}

TEST_F(OciSpec, AddsAndDropsCapabilities) {
  container.security.capabilities_drop = {"ALL"};
  container.security.capabilities_add = {"NET_ADMIN", "CAP_sys_time"};
  EXPECT_EQ(spec()["process"]["capabilities"]["bounding"],
            Json::parse(R"(["CAP_NET_ADMIN","CAP_SYS_TIME"])"));

  container.security.capabilities_add = {"ALL"};
  container.security.capabilities_drop = {"SYS_ADMIN"};
  const Json all_but_one = spec()["process"]["capabilities"]["bounding"];
  EXPECT_EQ(all_but_one.size(), 40);
  EXPECT_FALSE(has(all_but_one, "CAP_SYS_ADMIN"));
}

TEST_F(OciSpec, AsksOnlyForCapabilitiesTheHostHas) {
  host.capabilities = ~(1ULL << 24);  // CAP_SYS_RESOURCE
  container.security.capabilities_add = {"SYS_RESOURCE", "SYS_TIME"};
  const Json bounding = spec()["process"]["capabilities"]["bounding"];
  EXPECT_FALSE(has(bounding, "CAP_SYS_RESOURCE"));
  EXPECT_TRUE(has(bounding, "CAP_SYS_TIME"));
}

TEST_F(OciSpec, RefusesUnknownCapabilities) {
  container.security.capabilities_add = {"FLY"};
  expect_config_error("unknown capability \"FLY\"");
}

TEST_F(OciSpec, PrivilegedOpensEverything) {
  char name[] = "/tmp/wherry-dev-XXXXXX";
  host.dev_dir = mkdtemp(name);
  mkdir((host.dev_dir + "/bus").c_str(), 0755);
  mkdir((host.dev_dir + "/pts").c_str(), 0755);
  ASSERT_EQ(mknod((host.dev_dir + "/bus/usb0").c_str(), S_IFCHR | 0620, makedev(189, 3)), 0);
  ASSERT_EQ(mknod((host.dev_dir + "/pts/0").c_str(), S_IFCHR | 0620, makedev(136, 0)), 0);
  ASSERT_EQ(symlink("/etc/passwd", (host.dev_dir + "/link").c_str()), 0);
  container.security.privileged = true;
  host.capabilities = 0x1ff'ffff'ffff;
  const Json made = spec();
  static_cast<void>(remove_tree(host.dev_dir));

  EXPECT_EQ(made["process"]["noNewPrivileges"], false);
  EXPECT_EQ(made["process"]["capabilities"]["bounding"].size(), 41);
  EXPECT_EQ(made["linux"]["resources"]["devices"],
            Json::parse(R"([{"allow":true,"access":"rwm"}])"));
  EXPECT_FALSE(made["linux"].contains("maskedPaths"));
  EXPECT_FALSE(made["linux"].contains("readonlyPaths"));
  EXPECT_TRUE(has(mount_at(made, "/sys")["options"], "rw"));
  EXPECT_TRUE(has(mount_at(made, "/sys/fs/cgroup")["options"], "rw"));
  ASSERT_EQ(made["linux"]["devices"].size(), 1);
  const Json device = made["linux"]["devices"][0];
  EXPECT_EQ(device["path"], "/dev/bus/usb0");
  EXPECT_EQ(device["type"], "c");
  EXPECT_EQ(device["major"], 189);
  EXPECT_EQ(device["minor"], 3);
}

TEST_F(OciSpec, AllowsEscalationOnlyWhenTold) {
  container.security.allow_privilege_escalation = true;
  EXPECT_EQ(spec()["process"]["noNewPrivileges"], false);
}

struct ArgsCase {
  std::vector<std::string> entrypoint, cmd, command, args, expected;
};

TEST_F(OciSpec, CombinesCommandAndArgsAsKubernetesDoes) {
  const ArgsCase cases[] = {
      {{"ep"}, {"c"}, {}, {}, {"ep", "c"}},
      {{"ep"}, {"c"}, {}, {"a"}, {"ep", "a"}},
      {{"ep"}, {"c"}, {"cmd"}, {}, {"cmd"}},
      {{"ep"}, {"c"}, {"cmd"}, {"a", "b"}, {"cmd", "a", "b"}},
      {{}, {"c", "d"}, {}, {}, {"c", "d"}},
      {{}, {"c"}, {}, {"a"}, {"a"}},
  };
  for (const ArgsCase& c : cases) {
    image.entrypoint = c.entrypoint;
    image.cmd = c.cmd;
    container.command = c.command;
    container.args = c.args;
    EXPECT_EQ(spec()["process"]["args"], Json(c.expected));
  }
}

TEST_F(OciSpec, RefusesAnImageWithoutProgram) {
  image.cmd.clear();
  expect_config_error("names no program");
}

TEST_F(OciSpec, BuildsTheEnvironmentInOrder) {
  image.env = {"PATH=/bin", "LANG=C", "=broken"};
  container.env = {{"A", "1"}, {"LANG", "de"}, {"A", "2"}, {"EMPTY", ""}};
  EXPECT_THAT(spec()["process"]["env"].get<std::vector<std::string>>(),
              ElementsAre("PATH=/bin", "HOSTNAME=web-host", "LANG=de", "A=2", "EMPTY="));
  image.env.clear();
  container.env.clear();
  EXPECT_THAT(spec()["process"]["env"][0].get<std::string>(), HasSubstr("PATH=/usr/local/sbin:"));
}

TEST_F(OciSpec, PrefersTheContainersWorkingDirectory) {
  image.working_dir = "/srv";
  EXPECT_EQ(spec()["process"]["cwd"], "/srv");
  container.working_dir = "/data";
  EXPECT_EQ(spec()["process"]["cwd"], "/data");
  container.working_dir = "data";
  expect_config_error("not absolute");
}

TEST_F(OciSpec, TranslatesLimits) {
  container.resources.cpu_limit_milli = 1500;
  container.resources.cpu_request_milli = 250;
  container.resources.memory_limit = 64 << 20;
  container.resources.pids_limit = 50;
  const Json resources = spec()["linux"]["resources"];
  EXPECT_EQ(resources["cpu"], (Json{{"shares", 256}, {"quota", 150000}, {"period", 100000}}));
  EXPECT_EQ(resources["memory"], (Json{{"limit", 64 << 20}}));
  EXPECT_EQ(resources["pids"]["limit"], 50);

  host.swap_limit = true;
  EXPECT_EQ(spec()["linux"]["resources"]["memory"]["swap"], 64 << 20);
}

TEST_F(OciSpec, KeepsLimitsWithinWhatTheKernelTakes) {
  container.resources.cpu_limit_milli = 1;
  Json cpu = spec()["linux"]["resources"]["cpu"];
  EXPECT_EQ(cpu["quota"], 1000);
  EXPECT_EQ(cpu["shares"], 2);

  container.resources.cpu_limit_milli = INT64_MAX;
  cpu = spec()["linux"]["resources"]["cpu"];
  EXPECT_GT(cpu["quota"].get<int64_t>(), 0);
  EXPECT_LE(cpu["shares"].get<int64_t>(), 262144);
}

TEST_F(OciSpec, LeavesUnlimitedResourcesToTheKernel) {
  const Json resources = spec()["linux"]["resources"];
  EXPECT_EQ(resources["cpu"], (Json{{"shares", 2}})) << "after all that ask for some";
  EXPECT_FALSE(resources.contains("memory"));
  EXPECT_GT(resources["pids"]["limit"].get<int64_t>(), 0);
}

TEST_F(OciSpec, RaisesNoLimitWhereTheHostForbidsIt) {
  EXPECT_TRUE(spec()["process"].contains("rlimits"));
  host.can_raise_rlimits = false;
  EXPECT_FALSE(spec()["process"].contains("rlimits"));
}

TEST_F(OciSpec, TellsTheKernelWhomToKillFirst) {
  host.memory_bytes = 1 << 30;
  const auto score = [this] {
    pod.containers = {container};
    return spec()["process"]["oomScoreAdj"].get<int>();
  };
  EXPECT_EQ(score(), 1000) << "BestEffort";
  container.resources.memory_request = 256 << 20;
  EXPECT_EQ(score(), 750) << "Burstable";
  container.resources.memory_request = 1;
  EXPECT_EQ(score(), 999);
  container.resources.memory_request = int64_t{4} << 30;
  EXPECT_EQ(score(), 2);
  container.resources.memory_limit = container.resources.memory_request;
  container.resources.cpu_limit_milli = container.resources.cpu_request_milli = 100;
  EXPECT_EQ(score(), -997) << "Guaranteed";
  host.least_oom_score = 0;
  EXPECT_EQ(score(), 0) << "less is not allowed here";
  pod.containers = {container, container};
  pod.containers[1].resources.memory_limit *= 2;
  EXPECT_EQ(qos_class(pod), QosClass::Burstable) << "every container must be guaranteed";
}

TEST_F(OciSpec, AddsUpWhatAPodAsksFor) {
  const auto asks = [this](ContainerRole role, int64_t memory) {
    ContainerSpec made = container;
    made.role = role;
    made.resources.memory_request = memory;
    return made;
  };
  pod.containers = {asks(ContainerRole::Init, 50), asks(ContainerRole::Sidecar, 10),
                    asks(ContainerRole::Main, 20), asks(ContainerRole::Main, 5)};
  EXPECT_EQ(request_of(pod).memory_request, 50) << "the init container alone";
  pod.containers[0].resources.memory_request = 1;
  EXPECT_EQ(request_of(pod).memory_request, 35);
  std::swap(pod.containers[0], pod.containers[1]);
  pod.containers[1].resources.memory_request = 40;
  EXPECT_EQ(request_of(pod).memory_request, 50) << "with the sidecar before it";
}

TEST_F(OciSpec, JoinsThePodsNetworkNamespace) {
  const Json made = spec();
  EXPECT_EQ(namespace_of(made, "network")["path"], "/run/netns/web");
  for (const char* type : {"pid", "ipc", "uts", "mount"}) {
    EXPECT_FALSE(namespace_of(made, type).is_null()) << type;
  }
  EXPECT_TRUE(namespace_of(made, "cgroup").is_null());
  host.cgroup_v2 = true;
  EXPECT_FALSE(namespace_of(spec(), "cgroup").is_null());
}

TEST_F(OciSpec, SharesTheHostsNetworkAndName) {
  pod.host_network = true;
  const Json made = spec();
  EXPECT_TRUE(namespace_of(made, "network").is_null());
  EXPECT_TRUE(namespace_of(made, "uts").is_null());
  EXPECT_FALSE(made.contains("hostname"));
  EXPECT_TRUE(has(made["process"]["env"], "HOSTNAME=device-7"));
}

TEST_F(OciSpec, MountsVolumesBelowTheirParents) {
  mounts = {
      {"/v/dev", "/dev", false}, {"/v/shm", "/dev/shm/", false}, {"/v/h", "/etc/hosts", true}};
  const Json made = spec();
  EXPECT_THAT(destinations(made), ElementsAre("/proc", "/sys", "/dev", "/dev/pts", "/dev/mqueue",
                                              "/dev/shm", "/etc/hosts", "/sys/fs/cgroup"));
  EXPECT_EQ(mount_at(made, "/dev")["source"], "/v/dev");
  EXPECT_EQ(mount_at(made, "/dev/shm")["options"], Json::parse(R"(["rbind","rprivate","rw"])"));
  EXPECT_EQ(mount_at(made, "/etc/hosts")["options"], Json::parse(R"(["rbind","rprivate","ro"])"));
}

TEST_F(OciSpec, ReadOnlyRootFilesystem) {
  container.security.read_only_root_filesystem = true;
  EXPECT_EQ(spec()["root"]["readonly"], true);
}

TEST_F(OciSpec, SurvivesTextThatIsNoUtf8) {
  container.env = {{"BYTES", "\xff\xfe"}};
  EXPECT_TRUE(text());
}

// --- who it runs as

constexpr const char* kPasswd =
    "# comment\nroot:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:1001::/home/app:/bin/sh\n";
constexpr const char* kGroup = "root:x:0:\nstaff:x:50:app,other\nwheel:x:10:app\nweb:x:33:\n";

TEST_F(OciSpec, ResolvesTheImagesUserByName) {
  with_rootfs(kPasswd, kGroup);
  image.user = "app";
  EXPECT_EQ(spec()["process"]["user"],
            Json::parse(R"({"uid":1000,"gid":1001,"additionalGids":[10,50]})"));
  image.user = "app:web";
  EXPECT_EQ(spec()["process"]["user"]["gid"], 33);
}

TEST_F(OciSpec, LooksUpTheGroupOfANumericUser) {
  with_rootfs(kPasswd, kGroup);
  container.security.run_as_user = 1000;
  EXPECT_EQ(spec()["process"]["user"]["gid"], 1001);
  container.security.run_as_group = 7;
  container.security.supplemental_groups = {10, 99};
  EXPECT_EQ(spec()["process"]["user"],
            Json::parse(R"({"uid":1000,"gid":7,"additionalGids":[10,50,99]})"));
}

TEST_F(OciSpec, StrictGroupsAreThoseThatWereAskedFor) {
  with_rootfs(kPasswd, kGroup);
  image.user = "app";
  container.security.strict_groups = true;
  container.security.supplemental_groups = {99};
  pod.fs_group = 70;
  EXPECT_EQ(spec()["process"]["user"],
            Json::parse(R"({"uid":1000,"gid":1001,"additionalGids":[70,99]})"));
}

TEST_F(OciSpec, SharesWithTheDeviceWhatThePodAsksFor) {
  const auto namespaces = [&] {
    std::string all;
    const Json made = spec();
    for (const Json& entry : made["linux"]["namespaces"]) {
      all += entry["type"].get<std::string>() + " ";
    }
    return all;
  };
  EXPECT_EQ(namespaces(), "mount pid ipc uts network ");
  pod.host_pids = true;
  EXPECT_EQ(namespaces(), "mount ipc uts network ");
  pod.host_ipc = true;
  EXPECT_EQ(namespaces(), "mount uts network ");
}

TEST_F(OciSpec, TheFullNameIsTheHostNameWhereThatIsAsked) {
  pod.domain = "db.default.svc.cluster.local";
  EXPECT_EQ(spec()["hostname"], "web-host");
  pod.hostname_is_full = true;
  EXPECT_EQ(spec()["hostname"], "web-host.db.default.svc.cluster.local");
  EXPECT_TRUE(has(spec()["process"]["env"], "HOSTNAME=web-host.db.default.svc.cluster.local"));
  pod.hostname = std::string(40, 'x');
  expect_config_error("setHostnameAsFQDN");
}

TEST_F(OciSpec, RunAsUserDropsTheImagesGroup) {
  image.user = "5:6";
  EXPECT_EQ(spec()["process"]["user"], (Json{{"uid", 5}, {"gid", 6}}));
  container.security.run_as_user = 70;
  EXPECT_EQ(spec()["process"]["user"], (Json{{"uid", 70}, {"gid", 0}}));
}

TEST_F(OciSpec, RefusesUsersNobodyKnows) {
  image.user = "app";
  expect_config_error("user \"app\" is not in the image's /etc/passwd");
  with_rootfs(kPasswd, kGroup);
  image.user = "app:nobody";
  expect_config_error("group \"nobody\"");
  image.user = "4294967296";
  expect_config_error("user \"4294967296\"");
}

TEST_F(OciSpec, RefusesRootWhereNonRootIsDemanded) {
  container.security.run_as_non_root = true;
  expect_config_error("runAsNonRoot");
  container.security.run_as_user = 0;
  expect_config_error("runAsNonRoot");
  container.security.run_as_user = 1000;
  EXPECT_EQ(spec()["process"]["user"]["uid"], 1000);
  container.security.run_as_user = -1;
  expect_config_error("out of range");
}

TEST_F(OciSpec, LinksInTheImageCannotReachTheHost) {
  with_rootfs("", "");
  const std::string outside = rootfs + "-outside";
  std::ofstream(outside) << "evil:x:1:1::/:/bin/sh\n";
  unlink((rootfs + "/etc/passwd").c_str());
  ASSERT_EQ(symlink(outside.c_str(), (rootfs + "/etc/passwd").c_str()), 0);
  image.user = "evil";
  expect_config_error("user \"evil\"");
  unlink(outside.c_str());
}

TEST_F(OciSpec, SaysWhenItNeedsTheRootFileSystem) {
  EXPECT_FALSE(needs_rootfs(container, image));
  for (const char* user : {"root", "0", "0:0", "root:root"}) {
    image.user = user;
    EXPECT_FALSE(needs_rootfs(container, image)) << user;
  }
  for (const char* user : {"app", "1000", "0:staff"}) {
    image.user = user;
    EXPECT_TRUE(needs_rootfs(container, image)) << user;
  }
  container.security.run_as_user = 0;
  EXPECT_FALSE(needs_rootfs(container, image));
}

}  // namespace
}  // namespace wherry::runtime
