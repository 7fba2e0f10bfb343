// Credentials: docker's forms of them, which are for whom, and programs that know them.

#include "runtime/image/credentials.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/image/docker_config.h"
#include "tests/support/temp_dir.h"

namespace wherry::image_test {
namespace {

using namespace wherry::runtime;
using test::TempDir;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> users(const std::vector<RegistryCredential>& all) {
  std::vector<std::string> names;
  for (const RegistryCredential& each : all) names.push_back(each.username);
  return names;
}

// In the order in which they are tried, as "user:password" or the token.
std::vector<std::string> drain(CredentialQueue& queue) {
  std::vector<std::string> all;
  while (true) {
    const auto next = queue.next({});
    if (!next || !*next) return all;
    const Credential& each = **next;
    all.push_back(each.identity_token.empty() ? each.username + ":" + each.password
                                              : each.identity_token);
  }
}

TEST(Credentials, DockersFileIsRead) {
  const auto config = parse_docker_config(R"({
    "auths": {"https://index.docker.io/v1/": {"username": "u", "password": "p"},
              "http://r.local:5000/v2/": {"auth": "YTpiOmM="},
              "id.local": {"identitytoken": "tok"},
              "empty.local": {}},
    "credsStore": "pass", "credHelpers": {"https://h.local": "ecr-login"}})");
  ASSERT_TRUE(config) << config.error().full();
  ASSERT_EQ(config->auths.size(), 3u);
  EXPECT_EQ(credentials_for(config->auths, "docker.io", "library/x").at(0).password, "p");
  EXPECT_EQ(credentials_for(config->auths, "r.local:5000", "x").at(0).password, "b:c");
  EXPECT_EQ(credentials_for(config->auths, "id.local", "x").at(0).identity_token, "tok");
  EXPECT_TRUE(credentials_for(config->auths, "r.local", "x").empty()) << "another port";
  EXPECT_EQ(config->store, "pass");
  EXPECT_EQ(config->helpers.at("h.local"), "ecr-login");
}

TEST(Credentials, WhatIsWrongWithASecretIsToldWithoutIt) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"hunter2", "is not a JSON object"},
      {R"({"hunter2": 1})", "has no \"auths\""},
      {R"({"auths": "hunter2"})", "auths is not a JSON object"},
      {R"({"auths": {"r.local": "hunter2"}})", "auths[\"r.local\"] is not a JSON object"},
      {R"({"auths": {"r.local": {"auth": "hunter2!"}}})", "auths[\"r.local\"].auth is not base64"},
      {R"({"auths": {"r.local": {"auth": "aHVudGVyMg=="}}})", "of user:password"},
  };
  for (const auto& [text, said] : wrong) {
    const auto parsed = parse_pull_secret(text, false);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().full(), HasSubstr(said));
    EXPECT_THAT(parsed.error().full(), Not(HasSubstr("hunter2")));
  }
  EXPECT_EQ(parse_pull_secret(R"({"r.local": {"auth": "YTpi"}})", true)->at(0).username, "a");
}

// As kubelet's keyring: pkg/credentialprovider/keyring.go, urlsMatch.
TEST(Credentials, TheMostSpecificComesFirst) {
  const auto entry = [](const char* key) {
    return RegistryCredential{credential_host(key), key, "", ""};
  };
  const std::vector<RegistryCredential> all{
      entry("*.registry.io"),      entry("a.registry.io"), entry("https://a.registry.io/team"),
      entry("a.registry.io:8443"), entry("*.io"),          entry("a.registry.io/other"),
      entry("b.registry.io")};
  EXPECT_THAT(users(credentials_for(all, "a.registry.io", "team/web")),
              ElementsAre("https://a.registry.io/team", "a.registry.io", "*.registry.io"));
  EXPECT_THAT(users(credentials_for(all, "a.registry.io:8443", "team/web")),
              ElementsAre("a.registry.io:8443"));
  EXPECT_THAT(users(credentials_for(all, "c.registry.io", "x")), ElementsAre("*.registry.io"));
  EXPECT_TRUE(credentials_for(all, "x.a.registry.io", "x").empty());
}

class Helpers : public ::testing::Test {
 protected:
  std::string program(const std::string& script) {
    const std::string path = dir_ / "helper";
    write_text(path, "#!/bin/sh\n" + script, 0755);
    return path;
  }
  Result<std::optional<Credential>> ask(const std::string& script) {
    return ask_credential_helper(program(script), "r.local", deadline_, cancel_);
  }
  void expect_failure(const std::string& script, const std::string& said) {
    const auto asked = ask(script);
    ASSERT_FALSE(asked) << said;
    EXPECT_EQ(asked.error().reason(), "CredentialHelperFailed");
    EXPECT_THAT(asked.error().full(), HasSubstr(said));
    EXPECT_THAT(asked.error().full(), Not(HasSubstr("hunter2")));
  }

  const TempDir dir_;
  Duration deadline_ = std::chrono::seconds(30);
  CancelToken cancel_;
};

TEST_F(Helpers, SpeakDockersProtocol) {
  auto got = ask(R"(read server; [ "$1" = get ] && echo '{"ServerURL":"","Username":"'"$server"'",)"
                 R"("Secret":"hunter2"}')");
  ASSERT_TRUE(got && *got);
  EXPECT_EQ((*got)->username, "r.local");
  EXPECT_EQ((*got)->password, "hunter2");
  got = ask(R"(echo '{"Username":"<token>","Secret":"tok"}')");
  ASSERT_TRUE(got && *got);
  EXPECT_EQ((*got)->identity_token, "tok");
  got = ask("echo credentials not found in native keychain; exit 1");
  ASSERT_TRUE(got);
  EXPECT_FALSE(*got);
}

TEST_F(Helpers, ThatFailAreToldAboutWithoutTheSecret) {
  expect_failure("echo hunter2; echo hunter2 >&2; exit 3", "failed with exit code 3");
  expect_failure("echo hunter2", "did not answer with JSON");
  expect_failure("echo '[\"hunter2\"]'", "did not answer with JSON");
  expect_failure("exec cat /dev/zero", "failed with exit code");
  deadline_ = std::chrono::milliseconds(50);
  expect_failure("exec sleep 1000", "did not end within");
  EXPECT_THAT(ask_credential_helper(dir_ / "none", "x", deadline_, {}).error().full(),
              HasSubstr("cannot be started"));
  cancel_.cancel();
  EXPECT_EQ(ask("echo {}").error().code(), Code::Cancelled);
}

TEST_F(Helpers, AreAskedOnlyWhenNothingElseIsRight) {
  DeviceCredentials device;
  device.docker_config = dir_ / "config.json";
  device.helper =
      program("echo >> " + (dir_ / "asked") + R"(; echo '{"Username":"helper","Secret":"3"}')");
  write_text(device.docker_config, R"({"auths":{"r.local":{"auth":"ZmlsZToy"}}})");
  const std::vector<RegistryCredential> pods{{"r.local", "pod", "1", ""}, {"x", "x", "x", ""}};
  CredentialQueue queue(pods, device, "r.local", "web");
  EXPECT_EQ((**queue.next({})).username, "pod");
  EXPECT_EQ((**queue.next({})).username, "file");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "asked"));
  EXPECT_EQ((**queue.next({})).username, "helper");
  EXPECT_FALSE(queue.next({})->has_value());
  EXPECT_FALSE(queue.trouble());
}

TEST_F(Helpers, ThatAreBrokenStandInNobodysWay) {
  DeviceCredentials device;
  device.docker_config = dir_ / "config.json";
  device.helper = program(R"(echo '{"Username":"helper","Secret":"3"}')");
  write_text(device.docker_config, R"({"credsStore":"no-such-store"})");
  CredentialQueue queue({}, device, "r.local", "web");
  EXPECT_THAT(drain(queue), ElementsAre("helper:3"));
  ASSERT_TRUE(queue.trouble());
  EXPECT_THAT(queue.trouble()->full(), HasSubstr("docker-credential-no-such-store"));
  write_text(device.docker_config, "{");
  CredentialQueue unread({}, device, "r.local", "web");
  EXPECT_THAT(drain(unread), ElementsAre("helper:3"));
  EXPECT_THAT(unread.trouble()->full(), HasSubstr("config.json: is not a JSON object"));
}

}  // namespace
}  // namespace wherry::image_test
