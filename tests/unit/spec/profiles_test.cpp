// seccomp, AppArmor, sysctls, groups and mount propagation in the specification.

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "runtime/spec/oci_spec.h"
#include "runtime/spec/seccomp_syscalls.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;
using Kind = SecurityProfile::Kind;
using testing::HasSubstr;

class Profiles : public testing::Test {
 protected:
  Profiles() {
    pod.name = "web";
    container.name = "main";
    image.cmd = {"/bin/server"};
    host.seccomp = true;
    host.apparmor_profiles = dir + "/loaded";
  }

  Result<std::string> text() const {
    return make_oci_spec({pod, container, image, host, "/c", "", "", mounts, dir});
  }
  Json spec() const {
    const Result<std::string> made = text();
    EXPECT_TRUE(made) << made.error().full();
    return made ? Json::parse(*made) : Json();
  }
  std::string error() const {
    const Result<std::string> made = text();
    EXPECT_FALSE(made);
    if (made) return "";
    EXPECT_EQ(made.error().reason(), "CreateContainerConfigError");
    return made.error().full();
  }

  const test::TempDir temp;
  const std::string dir = temp.path();
  PodSpec pod;
  ContainerSpec container;
  ImageConfig image;
  HostFacts host;
  std::vector<BindMount> mounts;
};

// What a rule says of a call, without its conditions; "" where none does.
std::string answer(const Json& profile, const std::string& call) {
  for (const Json& rule : profile["syscalls"]) {
    const Json& names = rule["names"];
    if (std::find(names.begin(), names.end(), call) == names.end()) continue;
    return rule["action"].get<std::string>() + (rule.contains("args") ? " sometimes" : "");
  }
  return "";
}

TEST_F(Profiles, NoneUnlessAskedFor) {
  EXPECT_FALSE(spec()["linux"].contains("seccomp"));
  EXPECT_FALSE(spec()["process"].contains("apparmorProfile"));
  container.security.seccomp.kind = Kind::RuntimeDefault;
  EXPECT_TRUE(spec()["linux"].contains("seccomp"));
  container.security.privileged = true;
  EXPECT_FALSE(spec()["linux"].contains("seccomp")) << "as in Kubernetes";
}

TEST_F(Profiles, TheDefaultKeepsToTheContainer) {
  container.security.seccomp.kind = Kind::RuntimeDefault;
  Json profile = spec()["linux"]["seccomp"];
  EXPECT_EQ(profile["defaultAction"], "SCMP_ACT_ERRNO");
  for (const char* call : {"read", "execve", "futex", "openat", "exit_group", "accept4", "mmap"}) {
    EXPECT_EQ(answer(profile, call), "SCMP_ACT_ALLOW") << call;
  }
  for (const char* call : {"mount", "init_module", "reboot", "kexec_load", "setns", "bpf", "swapon",
                           "keyctl", "add_key", "userfaultfd", "io_uring_setup", "unshare"}) {
    EXPECT_EQ(answer(profile, call), "") << call;
  }
  EXPECT_EQ(answer(profile, "clone"), "SCMP_ACT_ALLOW sometimes");
  EXPECT_EQ(answer(profile, "clone3"), "SCMP_ACT_ERRNO");
  EXPECT_EQ(answer(profile, "personality"), "SCMP_ACT_ALLOW sometimes");
  container.security.capabilities_add = {"SYS_ADMIN", "SYS_TIME"};
  profile = spec()["linux"]["seccomp"];
  EXPECT_EQ(answer(profile, "mount"), "SCMP_ACT_ALLOW");
  EXPECT_EQ(answer(profile, "clone3"), "SCMP_ACT_ALLOW");
  EXPECT_EQ(answer(profile, "clock_settime"), "SCMP_ACT_ALLOW");
  EXPECT_EQ(answer(profile, "init_module"), "");
}

TEST_F(Profiles, TheListNamesNothingTwice) {
  std::set<std::string> seen;
  std::string name;
  for (const char c : std::string(kAnyContainer) + " ") {
    if (c != ' ') {
      name += c;
    } else if (!name.empty()) {
      EXPECT_TRUE(seen.insert(name).second) << name;
      name.clear();
    }
  }
  EXPECT_GT(seen.size(), 300U);
}

TEST_F(Profiles, AFileOfTheDeviceIsTakenAsItIs) {
  container.security.seccomp = {Kind::Localhost, "mine.json"};
  EXPECT_THAT(error(), HasSubstr("mine.json cannot be read"));
  std::ofstream(dir + "/mine.json") << "{ not json";
  EXPECT_THAT(error(), HasSubstr("is no JSON object"));
  std::ofstream(dir + "/mine.json") << R"({"defaultAction":"SCMP_ACT_LOG"})";
  EXPECT_EQ(spec()["linux"]["seccomp"], Json({{"defaultAction", "SCMP_ACT_LOG"}}));
}

TEST_F(Profiles, WhatTheKernelLacksIsRefused) {
  container.security.seccomp.kind = Kind::RuntimeDefault;
  host.seccomp = false;
  EXPECT_THAT(error(), HasSubstr("has no seccomp"));
  container.security.seccomp.kind = Kind::Unset;
  container.security.apparmor.kind = Kind::RuntimeDefault;
  EXPECT_THAT(error(), HasSubstr("has no AppArmor"));
  host.apparmor = true;
  EXPECT_THAT(error(), HasSubstr("\"wherry-default\" is loaded"));
  std::ofstream(dir + "/loaded") << "wherry-default (enforce)\nmine (complain)\n";
  EXPECT_EQ(spec()["process"]["apparmorProfile"], "wherry-default");
  container.security.apparmor = {Kind::Localhost, "mine"};
  EXPECT_EQ(spec()["process"]["apparmorProfile"], "mine");
  container.security.apparmor = {Kind::Localhost, "min"};
  EXPECT_THAT(error(), HasSubstr("\"min\" is loaded"));
}

TEST_F(Profiles, SysctlsAndTheGroupAreEveryContainers) {
  pod.sysctls = {{"net.ipv4.tcp_syncookies", "1"}};
  pod.fs_group = 2000;
  container.security.supplemental_groups = {3000, 1000, 2000};
  const Json made = spec();
  EXPECT_EQ(made["linux"]["sysctl"], Json({{"net.ipv4.tcp_syncookies", "1"}}));
  EXPECT_EQ(made["process"]["user"]["additionalGids"], Json({1000, 2000, 3000}));
}

TEST_F(Profiles, PropagationReachesAsFarAsItIsAsked) {
  mounts = {{"/a", "/a", false, MountPropagation::None}};
  EXPECT_FALSE(spec()["linux"].contains("rootfsPropagation"));
  mounts.push_back({"/b", "/b", false, MountPropagation::HostToContainer});
  EXPECT_EQ(spec()["linux"]["rootfsPropagation"], "rslave");
  mounts.push_back({"/c", "/c", false, MountPropagation::Bidirectional});
  const Json made = spec();
  EXPECT_EQ(made["linux"]["rootfsPropagation"], "rshared");
  std::string options;
  for (const Json& mount : made["mounts"]) {
    if (mount["type"] == "bind") options += mount["options"][1].get<std::string>() + " ";
  }
  EXPECT_EQ(options, "rprivate rslave rshared ");
}

}  // namespace
}  // namespace wherry::runtime
