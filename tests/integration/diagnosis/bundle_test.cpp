// The support bundle of a whole device: what is in it, and that none of the secrets is which are
// planted wherever a device may have one.

#include <algorithm>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>

#include "base/base64.h"
#include "tests/support/certificates.h"
#include "tests/support/net.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class BundleTest : public SystemTest {
 protected:
  // The names of the files of an unpacked bundle, and the directory they are in.
  struct Unpacked {
    std::string directory;
    std::set<std::string> names;
    std::string text(const std::string& name) const { return read_text(directory + "/" + name); }
    json parsed(const std::string& name) const { return json::parse(text(name), nullptr, false); }
  };
  Unpacked unpack(const std::string& archive) {
    const std::string directory = files_ / ("bundle" + std::to_string(++bundles_));
    std::filesystem::create_directory(directory);
    run_ok({"tar", "-xzf", archive, "--strip-components=1", "-C", directory});
    Unpacked unpacked{directory, {}};
    for (const auto& each : std::filesystem::recursive_directory_iterator(directory)) {
      if (each.is_regular_file()) {
        unpacked.names.insert(std::filesystem::relative(each.path(), directory).string());
      }
    }
    return unpacked;
  }
  Unpacked bundle(std::vector<std::string> more = {}) {
    const std::string archive = files_ / ("b" + std::to_string(bundles_) + ".tar.gz");
    more.insert(more.begin(), {"support-bundle", "-f", archive});
    const CommandResult made = agent_->cli(more);
    EXPECT_EQ(made.exit_code, 0) << made.out << made.err;
    EXPECT_THAT(made.out, HasSubstr("wrote " + archive));
    EXPECT_EQ(std::filesystem::status(archive).permissions(), std::filesystem::perms(0600));
    EXPECT_FALSE(std::filesystem::exists(archive + ".part"));
    return unpack(archive);
  }
  // Files that hold any of these as they stand.
  static std::vector<std::string> holding(const Unpacked& unpacked,
                                          const std::vector<std::string>& secrets) {
    std::vector<std::string> found;
    for (const std::string& name : unpacked.names) {
      const std::string text = unpacked.text(name);
      for (const std::string& secret : secrets) {
        if (text.find(secret) != std::string::npos) found.push_back(name + ": " + secret);
      }
    }
    return found;
  }

 private:
  int bundles_ = 0;
};

TEST_F(BundleTest, HasWhatExplainsADevice) {
  publish(1, {sleeper("web", false)});
  running("web");
  const Unpacked all = bundle();
  for (const char* name : {"README.txt",
                           "check.json",
                           "status.json",
                           "why.json",
                           "events.ndjson",
                           "desired.ndjson",
                           "configuration.yaml",
                           "versions.json",
                           "images.json",
                           "metrics.txt",
                           "containerd/containers.json",
                           "containerd/tasks.json",
                           "containerd/images.json",
                           "containerd/leases.json",
                           "containerd/snapshots.json",
                           "system/addresses.txt",
                           "system/routes.txt",
                           "system/iptables.txt",
                           "system/disks.txt",
                           "system/memory.txt"}) {
    EXPECT_TRUE(all.names.contains(name)) << name << "\n" << all.text("missing.txt");
  }
  EXPECT_THAT(all.text("missing.txt"), HasSubstr("agent.log: systemd did not start wherryd"));
  EXPECT_TRUE(all.parsed("check.json").contains("findings"));
  EXPECT_EQ(workload_in(all.parsed("status.json"), "web")["phase"], "Running");
  EXPECT_THAT(all.text("events.ndjson"), HasSubstr("DocumentAccepted"));
  EXPECT_THAT(all.text("desired.ndjson"), HasSubstr(kImage));
  EXPECT_THAT(all.text("configuration.yaml"), HasSubstr("mqtt.brokers: "));
  EXPECT_EQ(all.parsed("containerd/tasks.json").size(), 1u) << all.text("containerd/tasks.json");
  EXPECT_EQ(all.parsed("containerd/containers.json")[0]["labels"]["wherry/pod"], "web");
  EXPECT_THAT(all.text("system/addresses.txt"), HasSubstr("inet 127.0.0.1"));
  EXPECT_TRUE(std::none_of(all.names.begin(), all.names.end(),
                           [](const std::string& name) { return name.starts_with("logs/"); }));

  fleet_->publish("wherry/v1/devices/dev-1/commands/b-1", R"({"command":"support-bundle"})", {});
  const auto answer = fleet_->wait_for(
      [](const auto& each) { return each.topic == "wherry/v1/devices/dev-1/responses/b-1"; });
  ASSERT_TRUE(answer);
  const json told = json::parse(answer->payload);
  ASSERT_EQ(told["ok"], true) << answer->payload.substr(0, 300);
  const auto bytes = base64_decode(told["result"].value("archive", ""));
  ASSERT_TRUE(bytes);
  write_text(files_ / "command.tar.gz", *bytes);
  EXPECT_TRUE(unpack(files_ / "command.tar.gz").names.contains("status.json"));
}

TEST_F(BundleTest, HoldsNoneOfTheSecretsThatAreOnADevice) {
  const std::vector<std::string> secrets{
      "mqtt-passw0rd-1",      "api-t0ken-16-characters", "registry-passw0rd-2",
      "secret-data-3",        "secret-string-4",         "manifest-secret-5",
      "pull-secret-passw0rd", "two-lines-first-6",       "two-lines-second-7"};
  CertificateAuthority authority;
  const Certificate own = authority.issue("127.0.0.1");
  write_text(files_ / "password", secrets[0] + "\n");
  write_text(files_ / "token", secrets[1] + "\n");
  const std::string docker_auth = base64_encode("robot:" + secrets[2]);
  write_text(files_ / "docker.json",
             json{{"auths", {{"r.local", {{"auth", docker_auth}}}}}}.dump());
  const std::string pull_auth = base64_encode("robot:" + secrets[6]);
  const std::string pull_config = json{{"auths", {{"p.local", {{"auth", pull_auth}}}}}}.dump();
  for (const char* name : {"password", "token", "docker.json"}) {
    std::filesystem::permissions(files_ / name, std::filesystem::perms(0600));
  }
  const auto secret = [](const std::string& name, const char* field, const json& data) {
    return json{
        {"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", name}}}, {field, data}};
  };
  write_text(agent_->manifests_dir() + "/local.json",
             secret("local", "stringData", {{"password", secrets[5]}}).dump());
  WherryOptions& options = agent_->options();
  options.sets.insert(options.sets.end(),
                      {"mqtt.username=u", "mqtt.password_file=" + (files_ / "password"),
                       "mqtt.cert_file=" + own.certificate, "mqtt.key_file=" + own.key,
                       "api.listen=127.0.0.1:" + std::to_string(free_port()),
                       "api.token_file=" + (files_ / "token"),
                       "images.docker_config=" + (files_ / "docker.json"), "log.level=debug"});
  agent_->restart();
  ASSERT_TRUE(agent_->wait_ready());

  json pull = secret("pull", "stringData", {{".dockerconfigjson", pull_config}});
  pull["type"] = "kubernetes.io/dockerconfigjson";
  // Talks of all that it knows, and its last words and arguments do, too.
  json gossip = simple_pod("gossip", kImage,
                           {"/bin/sh", "-c",
                            "env; cat /secrets/*; env > /dev/termination-log; "
                            "echo $LOCAL; exit 3"});
  json& container = gossip["spec"]["containers"][0];
  container["args"] = {"--token=$(DATA)"};
  container["envFrom"] = {{{"secretRef", {{"name", "strings"}}}}};
  container["env"] = {
      {{"name", "DATA"}, {"valueFrom", {{"secretKeyRef", {{"name", "data"}, {"key", "token"}}}}}},
      {{"name", "LOCAL"},
       {"valueFrom", {{"secretKeyRef", {{"name", "local"}, {"key", "password"}}}}}}};
  container["volumeMounts"] = {{{"name", "s"}, {"mountPath", "/secrets"}}};
  gossip["spec"]["volumes"] = {{{"name", "s"}, {"secret", {{"secretName", "strings"}}}}};
  gossip["spec"]["imagePullSecrets"] = {{{"name", "pull"}}};
  publish(1, {secret("data", "data", {{"token", base64_encode(secrets[3])}}),
              secret("strings", "stringData",
                     {{"LOGIN", secrets[4]}, {"LINES", secrets[7] + "\n" + secrets[8] + "\n"}}),
              pull, gossip});
  // It has told all it knows.
  ASSERT_TRUE(wait_until([&] {
    const std::string log = agent_->cli({"logs", "gossip"}).out;
    return log.find(secrets[3]) != std::string::npos && log.find(secrets[4]) != std::string::npos &&
           log.find(secrets[5]) != std::string::npos && log.find(secrets[8]) != std::string::npos;
  })) << agent_->workload("gossip").dump(1)
      << tail(agent_->log());
  ASSERT_TRUE(agent_->wait_phase("gossip", "BackOff"));

  std::vector<std::string> all = secrets;
  for (const std::string& each : secrets) all.push_back(base64_encode(each));
  all.push_back(docker_auth);
  all.push_back(pull_auth);
  std::string key = read_text(own.key);
  all.push_back(key.substr(key.find('\n') + 1, 40));
  const Unpacked unpacked = bundle({"--logs"});
  EXPECT_THAT(holding(unpacked, all), IsEmpty());
  EXPECT_THAT(unpacked.text("logs/gossip.log"), HasSubstr("(left out)")) << "its log is there";
  EXPECT_THAT(unpacked.text("desired.ndjson"), HasSubstr("(left out)"));
  EXPECT_THAT(unpacked.text("desired.ndjson"), HasSubstr("imagePullSecrets"));
  EXPECT_THAT(unpacked.text("configuration.yaml"), HasSubstr(files_ / "password"));
  EXPECT_EQ(workload_in(unpacked.parsed("status.json"), "gossip")["name"], "gossip");
}

TEST_F(BundleTest, TroubleLeavesNoHalfOfOne) {
  const std::string nowhere = files_ / "no/such/place.tar.gz";
  const CommandResult lost = agent_->cli({"support-bundle", "-f", nowhere});
  EXPECT_EQ(lost.exit_code, 1);
  EXPECT_THAT(lost.err, HasSubstr("give another place with -f"));
  const CommandResult piped = agent_->cli({"support-bundle", "-f", "-"});
  EXPECT_EQ(piped.exit_code, 0);
  EXPECT_EQ(piped.out.substr(0, 2), "\x1f\x8b");
  EXPECT_EQ(agent_->get("/v1/support-bundle?logs=maybe").status, 400);
  containerd_->stop();
  const Unpacked without = bundle();
  EXPECT_THAT(without.text("missing.txt"), HasSubstr("containerd/containers.json: "));
  EXPECT_TRUE(without.names.contains("status.json"));
  containerd_->start();
  agent_->stop();
  const std::string archive = files_ / "gone.tar.gz";
  const CommandResult alone = agent_->cli({"support-bundle", "-f", archive});
  EXPECT_EQ(alone.exit_code, 0);
  EXPECT_THAT(alone.err, HasSubstr("the daemon does not run"));
  EXPECT_TRUE(std::filesystem::exists(archive));
  EXPECT_FALSE(std::filesystem::exists(archive + ".part"));
}

}  // namespace
}  // namespace wherry::test
