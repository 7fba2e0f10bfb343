// The configuration, and who may read and change what decides.

#include <algorithm>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/check/probes.h"
#include "base/files.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::check {
namespace {

using test::run_ok;
using test::TempDir;
using test::write_text;
using testing::HasSubstr;
using testing::Not;

class FilesProbe : public testing::Test {
 protected:
  FilesProbe() {
    write_text(file_, "");
    Config& config = subject_->config;
    config = load_config(file_, sets_).config;
    config.manifests.dir = make("manifests.d");
    config.security.trusted_keys_dir = make("keys.d");
    config.images.preload_dir = make("preload");
    config.images.hosts_dir = make("hosts");
    config.network.cni_bin_dir = make("bin");
    config.network.cni_conf_dir = make("net.d");
    config.storage.state_dir = make("state", 0700);
    config.api.socket = dir_ / "none.sock";
    subject_->config_file = file_;
    subject_->sets = sets_;
  }
  std::string make(const std::string& name, unsigned mode = 0755) const {
    EXPECT_TRUE(make_directories(dir_ / name, mode));
    return dir_ / name;
  }
  Scene scene() const { return {subject_, std::nullopt, {}}; }
  // What is wrong with this file or directory.
  std::vector<Finding> wrong(const std::string& path) const {
    Findings found = look_at_permissions(scene());
    std::erase_if(
        found, [&](const Finding& each) { return each.about != path || each.level == Level::Ok; });
    return found;
  }
  void expect(const std::string& path, const std::string& seen, const std::string& mend) const {
    const auto found = wrong(path);
    ASSERT_EQ(found.size(), 1u) << path;
    EXPECT_THAT(found[0].seen, HasSubstr(seen));
    EXPECT_THAT(found[0].mend, HasSubstr(mend + path));
  }
  static void set_mode(const std::string& path, mode_t mode) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0) << path;
  }

  TempDir dir_;
  const std::string file_ = dir_ / "wherry.yaml";
  const std::vector<std::string> sets_{"device.id=dev-1"};
  const std::shared_ptr<Subject> subject_ = std::make_shared<Subject>();
};

TEST_F(FilesProbe, WhatDecidesIsNotForEverybodyToChange) {
  Config& config = subject_->config;
  make("wherry.d");
  make("hosts/registry.example");
  config.mqtt.ca_file = dir_ / "ca.pem";
  const std::vector<std::string> files{file_,
                                       config.mqtt.ca_file,
                                       dir_ / "wherry.d/a.yaml",
                                       config.manifests.dir + "/web.yaml",
                                       config.images.preload_dir + "/web.tar",
                                       config.images.hosts_dir + "/registry.example/hosts.toml",
                                       config.network.cni_bin_dir + "/bridge",
                                       config.network.cni_conf_dir + "/10.conflist"};
  for (const std::string& each : files) write_text(each, "");
  for (const std::string& each : files) {
    EXPECT_TRUE(wrong(each).empty()) << each;
    set_mode(each, 0666);
    expect(each, "everybody may change", "chmod o-w ");
    set_mode(each, 0644);
    // In it somebody could put a file of his own.
    const std::string around = std::filesystem::path(each).parent_path();
    for (const mode_t mode : {0777, 01777}) {
      set_mode(around, mode);
      expect(around, "everybody may change", "chmod o-w ");
    }
    set_mode(around, 0755);
  }
}

TEST_F(FilesProbe, WhereEverybodyMayRenameWhatDecidesItIsSaid) {
  const std::string around = make("shared");
  subject_->config.security.trusted_keys_dir = make("shared/deep/keys.d");
  for (const std::string& each : {around, around + "/deep"}) {
    set_mode(each, 01777);
    EXPECT_TRUE(wrong(each).empty()) << each << ": there everybody may rename his own only";
    set_mode(each, 0777);
    expect(each, "in the place of " + subject_->config.security.trusted_keys_dir, "chmod o-w ");
    set_mode(each, 0755);
  }
}

TEST_F(FilesProbe, ManyFilesAreNamedByAFew) {
  for (int i = 0; i < 20; ++i) {
    const std::string path = subject_->config.manifests.dir + "/" + std::to_string(i) + ".yaml";
    write_text(path, "");
    set_mode(path, 0666);
  }
  const Findings found = look_at_permissions(scene());
  EXPECT_EQ(std::count_if(found.begin(), found.end(),
                          [](const Finding& each) { return each.level == Level::Fail; }),
            5);
}

TEST_F(FilesProbe, SecretsAreForTheirOwnerAndGroup) {
  Config& config = subject_->config;
  config.api.token_file = dir_ / "token";
  config.mqtt.key_file = dir_ / "key.pem";
  for (const std::string& each : {config.api.token_file, config.mqtt.key_file}) {
    write_text(each, "secret", 0640);
    EXPECT_TRUE(wrong(each).empty()) << each;
    for (const mode_t mode : {0604, 0602, 0660}) {
      set_mode(each, mode);
      expect(each, "may be read or changed by other users", "chmod 600 ");
    }
    set_mode(each, 0600);
    if (geteuid() != 0) continue;
    ASSERT_EQ(chown(each.c_str(), 65534, 65534), 0);
    expect(each, "belongs to another user", "chown root ");
  }
}

TEST_F(FilesProbe, WhatAGroupMayChangeIsSaidUnlessItIsRoots) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const std::string manifests = subject_->config.manifests.dir;
  const std::string around = make("around");
  subject_->config.images.preload_dir = make("around/preload");
  for (const std::string& each : {manifests, around}) {
    set_mode(each, 0775);
    EXPECT_TRUE(wrong(each).empty()) << each;
    ASSERT_EQ(chown(each.c_str(), 0, 65534), 0);
    expect(each, "the group ", "chmod g-w ");
    EXPECT_EQ(wrong(each)[0].level, Level::Warn);
  }
}

TEST_F(FilesProbe, WhereASecretCanBeReplacedItIsSaid) {
  Config& config = subject_->config;
  config.mqtt.password_file = make("a/b") + "/password";
  config.mqtt.key_file = "pkcs11:token=t?pin-source=file:" + make("c") + "/pin";
  config.api.token_file = make("d/e") + "/token";
  for (const char* each : {"a/b/password", "c/pin", "d/e/token"}) {
    write_text(dir_ / each, "secret", 0600);
  }
  for (const char* each : {"a", "a/b", "c", "d"}) {
    EXPECT_TRUE(wrong(dir_ / each).empty()) << each;
    set_mode(dir_ / each, 0777);
    expect(dir_ / each, "everybody may put something else in the place of", "chmod o-w ");
    set_mode(dir_ / each, 0755);
  }
  // As the agent says it.
  for (const mode_t mode : {0775, 01777}) {
    set_mode(dir_ / "d/e", mode);
    expect(dir_ / "d/e", "api.token_file, which is in it, is not used", "chmod go-w ");
    EXPECT_EQ(wrong(dir_ / "d/e")[0].level, Level::Fail);
  }
}

class KeysProbe : public FilesProbe {
 protected:
  KeysProbe() {
    run_ok({"openssl", "genpkey", "-algorithm", "ed25519", "-out", private_});
    run_ok({"openssl", "pkey", "-in", private_, "-pubout", "-out", key_});
    set_mode(key_, 0644);
  }

  const std::string keys_ = subject_->config.security.trusted_keys_dir;
  const std::string key_ = keys_ + "/ops.pem", private_ = dir_ / "ops.key";
};

TEST_F(KeysProbe, AreJudgedAsTheAgentJudgesThem) {
  subject_->config.security.require_signature = true;
  EXPECT_TRUE(wrong(key_).empty());
  EXPECT_TRUE(wrong(keys_).empty());
  set_mode(key_, 0664);
  expect(key_, "may be changed by other users: what it signed is refused", "chmod go-w ");
  set_mode(key_, 0644);
  for (const mode_t mode : {0775, 0777, 01777}) {
    set_mode(keys_, mode);
    expect(keys_, "no key in it counts", "chmod go-w ");
  }
  set_mode(keys_, 0755);
  write_text(key_, test::read_text(private_));
  ASSERT_EQ(wrong(key_).size(), 1u);
  EXPECT_THAT(wrong(key_)[0].seen, testing::StartsWith("holds a private key"));
  EXPECT_THAT(wrong(key_)[0].mend, HasSubstr("put the public one there"));
  run_ok({"openssl", "genpkey", "-algorithm", "RSA", "-out", private_});
  run_ok({"openssl", "pkey", "-in", private_, "-pubout", "-out", key_});
  ASSERT_EQ(wrong(key_).size(), 1u);
  EXPECT_THAT(wrong(key_)[0].seen, HasSubstr("of a kind that is not used here"));
  EXPECT_THAT(wrong(key_)[0].mend, HasSubstr("ed25519"));
  EXPECT_EQ(wrong(key_)[0].level, Level::Fail);
}

TEST_F(KeysProbe, APrivateOneIsFoundUnderAnyName) {
  write_text(keys_ + "/README", "whose keys these are");
  EXPECT_TRUE(wrong(keys_ + "/README").empty());
  write_text(keys_ + "/ops.key", test::read_text(private_), 0600);
  ASSERT_EQ(wrong(keys_ + "/ops.key").size(), 1u);
  EXPECT_THAT(wrong(keys_ + "/ops.key")[0].seen, HasSubstr("private key"));
}

TEST_F(KeysProbe, WhereTheyAreNeededTheyAreThere) {
  std::filesystem::remove(key_);
  EXPECT_TRUE(wrong(keys_).empty());
  subject_->config.security.require_signature = true;
  ASSERT_EQ(wrong(keys_).size(), 1u);
  EXPECT_THAT(wrong(keys_)[0].seen, HasSubstr("there is no key in it"));
  std::filesystem::remove(keys_);
  ASSERT_EQ(wrong(keys_).size(), 1u);
  EXPECT_THAT(wrong(keys_)[0].seen, HasSubstr("there is no such directory"));
  EXPECT_EQ(wrong(keys_)[0].level, Level::Fail);
}

TEST_F(FilesProbe, ADirectoryIsNoSecretAndNoModeMakesItOne) {
  Config& config = subject_->config;
  config.mqtt.password_file = make("password");
  config.api.token_file = make("token", 0700);
  for (const std::string& each : {config.mqtt.password_file, config.api.token_file}) {
    const auto found = wrong(each);
    ASSERT_EQ(found.size(), 1u) << each;
    EXPECT_THAT(found[0].seen, HasSubstr("is a directory; a file is needed"));
    EXPECT_THAT(found[0].mend, Not(HasSubstr("chmod")));
  }
}

TEST_F(FilesProbe, AChangedConfigurationSaysHowItIsTakenOver) {
  ASSERT_EQ(look_at_configuration(scene()).size(), 1u);
  subject_->config = load_config(file_, sets_).config;
  EXPECT_EQ(look_at_configuration(scene())[0].level, Level::Ok);
  write_text(file_, "log: {level: debug}\n");
  Findings found = look_at_configuration(scene());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0].seen, HasSubstr("log.level"));
  EXPECT_EQ(found[0].mend, "systemctl reload wherryd");
  write_text(file_, "log: {level: debug}\nmqtt: {keepalive: 5s}\n");
  found = look_at_configuration(scene());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_THAT(found[0].seen, HasSubstr("mqtt.keepalive"));
  EXPECT_THAT(found[0].mend, HasSubstr("systemctl restart wherryd"));
  // The reload has come.
  subject_->config = reloaded_config(subject_->config, load_config(file_, sets_).config);
  EXPECT_EQ(subject_->config.log.level, LogLevel::Debug);
  EXPECT_NE(subject_->config.mqtt.keepalive, std::chrono::seconds(5));
  EXPECT_EQ(look_at_configuration(scene()).size(), 1u);
}

TEST_F(FilesProbe, AConfigurationThatCannotBeReadIsNamedOnce) {
  write_text(file_, "log: {level: info}\nmqtt: {brokres: []}\n");
  Findings found = look_at_configuration(scene());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].about, file_);
  EXPECT_THAT(found[0].seen, testing::AllOf(testing::StartsWith("line 2: "), HasSubstr("brokres")));
  std::filesystem::remove(file_);
  found = look_at_configuration(scene());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].about, file_);
  EXPECT_EQ(found[0].seen, "there is no such file");
  EXPECT_THAT(found[0].mend, HasSubstr("create it"));
}

TEST_F(FilesProbe, WithoutAConfigurationNothingIsSaidOfWhatItDecides) {
  std::vector<std::string> names;
  for (const Probe& each : bare_probes()) names.emplace_back(each.name);
  EXPECT_THAT(names, testing::ElementsAre("configuration", "cgroups", "iptables"));
}

}  // namespace
}  // namespace wherry::check
