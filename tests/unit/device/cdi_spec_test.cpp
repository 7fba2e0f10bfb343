// Specifications of the Container Device Interface: what is read, and what is said of the rest.

#include "runtime/device/cdi_spec.h"

#include <filesystem>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "runtime/device/cdi_registry.h"
#include "tests/fuzz/device_invariants.h"
#include "tests/support/temp_dir.h"

namespace wherry::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kCorpus = WHERRY_SOURCE_DIR "/tests/fuzz/cdi_spec_corpus/";

TEST(CdiSpec, IsReadFromJson) {
  const auto spec = parse_cdi_spec(read_file(kCorpus + "gpu.json").value(), false);
  ASSERT_TRUE(spec) << spec.error().full();
  EXPECT_EQ(spec->kind, "vendor.com/gpu");
  EXPECT_THAT(spec->edits.env, ElementsAre("GPU=yes"));
  EXPECT_THAT(spec->edits.additional_gids, ElementsAre(44));
  EXPECT_EQ(spec->edits.mounts.at(0).options, (std::vector<std::string>{"ro", "bind"}));
  EXPECT_EQ(spec->edits.hooks.at(0).timeout, 5);
  const CdiNode& node = spec->devices.at("0").nodes.at(0);
  EXPECT_EQ(node.path, "/dev/gpu0");
  EXPECT_EQ(node.host_path, "/dev/null");
  EXPECT_EQ(node.minor, 3);
  EXPECT_EQ(node.file_mode, 0660U);
  EXPECT_EQ(node.permissions, "rw");
  EXPECT_EQ(spec->devices.size(), 2U);
}

TEST(CdiSpec, IsReadFromYaml) {
  const auto spec = parse_cdi_spec(read_file(kCorpus + "camera.yaml").value(), true);
  ASSERT_TRUE(spec) << spec.error().full();
  EXPECT_EQ(spec->devices.at("front").nodes.at(0).file_mode, 0660U);
  EXPECT_EQ(spec->devices.at("back").nodes.size(), 2U);
  EXPECT_EQ(spec->edits.mounts.at(0).container_path, "/etc/cameras");
}

struct Bad {
  const char* edit;  // replaces @ in a good file
  const char* says;
};

TEST(CdiSpec, MistakesAreNamedWithTheirPlace) {
  const std::string head = "cdiVersion: '0.6.0'\nkind: v.com/gpu\ndevices:\n- name: a\n  ";
  const Bad table[] = {
      {"containerEdits: { envs: [A=b] }",
       "devices[0].containerEdits: unknown field \"envs\"; did you mean \"env\"?"},
      {"containerEdits: { env: [A] }",
       "devices[0].containerEdits.env[0]: \"A\" must be written as NAME=value"},
      {"containerEdits: { env: [1] }", "devices[0].containerEdits.env[0]: must be a string"},
      {"containerEdits: { env: A=b }", "devices[0].containerEdits.env: must be a list"},
      {"containerEdits: []", "devices[0].containerEdits: must be a mapping"},
      {"containerEdits: { deviceNodes: [{ hostPath: /dev/a }] }",
       "deviceNodes[0].path: is required"},
      {"containerEdits: { deviceNodes: [{ path: dev/a }] }",
       "deviceNodes[0].path: must be an absolute path"},
      {"containerEdits: { deviceNodes: [{ path: /dev/a, type: x }] }",
       "deviceNodes[0].type: \"x\" must be b, c, u or p"},
      {"containerEdits: { deviceNodes: [{ path: /dev/a, permissions: rx }] }",
       "deviceNodes[0].permissions: \"rx\" must be of r, w and m"},
      {"containerEdits: { deviceNodes: [{ path: /dev/a, major: -1 }] }",
       "deviceNodes[0].major: must be a whole number"},
      {"containerEdits: { deviceNodes: [{ path: /dev/a, fileMode: 99999 }] }",
       "deviceNodes[0].fileMode: must be a whole number from 0 to 4095"},
      {"containerEdits: { mounts: [{ hostPath: /a }] }", "mounts[0].containerPath: is required"},
      {"containerEdits: { hooks: [{ hookName: createContaner, path: /a }] }",
       "hooks[0].hookName: \"createContaner\" is no hook of a container; did you mean "
       "createContainer?"},
      {"containerEdits: { hooks: [{ hookName: poststop }] }", "hooks[0].path: is required"},
      {"containerEdits: { additionalGids: [a] }", "additionalGids[0]: must be a whole number"},
      {"containerEdits: { intelRdt: { closID: a } }",
       "devices[0].containerEdits.intelRdt: is not supported by this version"},
      {"containerEdits: {}\n- name: a", "devices[1].name: \"a\" is the name of another device"},
      {"containerEdits: {}\n- name: a b", "devices[1].name: \"a b\" is no device name"},
      {"containerEdits: {}\n- {}", "devices[1].name: is required"},
      {"containerEdits: {}\nkind: v.com/b", "line 6: \"kind\" stands there twice"},
      {"containerEdits: {}\nextra: 1", "unknown field \"extra\""},
      {"containerEdits: *a", "line 5: "},
      {"containerEdits: {", "not valid YAML"},
      {"containerEdits: {}\n---\na: b", "more than one YAML document"},
  };
  for (const Bad& bad : table) {
    const auto spec = parse_cdi_spec(head + bad.edit + "\n", true);
    ASSERT_FALSE(spec) << bad.edit;
    EXPECT_THAT(spec.error().message(), HasSubstr(bad.says)) << bad.edit;
  }
  const Bad whole[] = {
      {"", "must be a mapping with cdiVersion, kind and devices"},
      {"[]", "must be a mapping"},
      {"kind: v.com/a\ndevices: [{ name: a }]", "cdiVersion: is required"},
      {"cdiVersion: '0.9.0'\nkind: v.com/a\ndevices: [{ name: a }]",
       "cdiVersion: \"0.9.0\" is not supported by this version: 0.1.0 to 0.8.0 are"},
      {"cdiVersion: '0.6.0'\nkind: gpu\ndevices: [{ name: a }]",
       "kind: \"gpu\" must be written as vendor.com/class"},
      {"cdiVersion: '0.6.0'\nkind: v.com/a\ndevices: []", "devices: must name at least one device"},
  };
  for (const Bad& bad : whole) {
    const auto spec = parse_cdi_spec(bad.edit, true);
    ASSERT_FALSE(spec) << bad.edit;
    EXPECT_THAT(spec.error().message(), HasSubstr(bad.says)) << bad.edit;
  }
  EXPECT_FALSE(parse_cdi_spec("{\"kind\":", false));
  EXPECT_FALSE(parse_cdi_spec("\xff", true));
}

TEST(CdiSpec, AnyBytesKeepTheInvariants) {
  std::mt19937 random(20261126);
  size_t seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    const std::string text = read_file(entry.path()).value();
    ++seeds;
    for (size_t end = 0; end <= text.size(); ++end) {
      ASSERT_EQ(broken_cdi_spec(text.substr(0, end)), "") << entry.path() << " cut at " << end;
    }
    for (int round = 0; round < 300; ++round) {
      std::string changed = text;
      for (int i = 0; i < 1 + round % 4; ++i) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      ASSERT_EQ(broken_cdi_spec(changed), "") << entry.path() << " round " << round;
    }
  }
  EXPECT_GE(seeds, 5U);
}

TEST(CdiName, IsQualified) {
  EXPECT_EQ(parse_cdi_name("v.com/gpu=0:1", false)->device, "0:1");
  EXPECT_EQ(parse_cdi_name("v.com/gpu", true)->kind, "v.com/gpu");
  for (const char* bad : {"v.com/gpu", "gpu=0", "v.com/gpu=", "v.com/=0", "/gpu=0", "v.com/g u=0",
                          "1v.com/gpu=0", "v.com/gpu=-", ""}) {
    EXPECT_FALSE(parse_cdi_name(bad, false)) << bad;
  }
}

class CdiFiles : public testing::Test {
 protected:
  void put(const std::string& file, const std::string& kind, const std::string& device,
           const std::string& env) {
    test::write_text(dir_ / file, "cdiVersion: '0.6.0'\nkind: " + kind + "\ndevices:\n- name: '" +
                                      device + "'\n  containerEdits: { env: [FROM=" + env +
                                      "] }\n");
  }
  CdiFiles() {
    std::filesystem::create_directories(dir_ / "etc");
    std::filesystem::create_directories(dir_ / "run");
  }
  CdiRegistry read() const { return read_cdi({dir_ / "etc", dir_ / "run", dir_ / "none"}); }
  test::TempDir dir_;
};

TEST_F(CdiFiles, TheLaterDirectoryWins) {
  put("etc/a.yaml", "v.com/gpu", "0", "etc");
  put("etc/b.yaml", "v.com/gpu", "1", "etc");
  put("run/z.yaml", "v.com/gpu", "0", "run");
  put("etc/c.txt", "v.com/gpu", "2", "etc");
  const CdiRegistry registry = read();
  EXPECT_THAT(registry.errors, IsEmpty());
  EXPECT_EQ(registry.devices.size(), 2U);
  EXPECT_THAT(registry.devices.at("v.com/gpu=0").edits().env, ElementsAre("FROM=run"));
  EXPECT_THAT(registry.devices.at("v.com/gpu=1").edits().env, ElementsAre("FROM=etc"));
}

TEST_F(CdiFiles, WhatTwoFilesClaimNobodyGets) {
  put("etc/a.yaml", "v.com/gpu", "0", "a");
  put("etc/b.yaml", "v.com/gpu", "0", "b");
  const CdiRegistry registry = read();
  EXPECT_TRUE(registry.devices.empty());
  EXPECT_THAT(registry.errors, ElementsAre(HasSubstr("b.yaml: v.com/gpu=0 is also in")));
  EXPECT_TRUE(registry.disputed.contains("v.com/gpu=0"));
}

TEST_F(CdiFiles, ABadFileIsNamedAndHidesNoOther) {
  put("etc/a.yaml", "v.com/gpu", "0", "a");
  test::write_text(dir_ / "etc/bad.json", "{\"cdiVersion\": \"0.6.0\", \"kind\": \"v.com/x\"}");
  const CdiRegistry registry = read();
  EXPECT_EQ(registry.devices.size(), 1U);
  EXPECT_THAT(registry.errors,
              ElementsAre(dir_ / "etc/bad.json" + ": devices: must name at least one device"));
}

}  // namespace
}  // namespace wherry::runtime
