// wherry check on a whole device: well, with one thing broken after another, and without a daemon.

#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>

#include "base/files.h"
#include "tests/support/certificates.h"
#include "tests/support/net.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class CheckTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    options.sets = {"mqtt.reconnect.min=50ms", "mqtt.reconnect.max=500ms"};
  }
  struct Checked {
    int exit_code = -1;
    json report;
    std::string text() const { return report.dump(1); }
  };
  // Again where this machine is so busy that a look did not end in time.
  Checked check(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"check", "-o", "json"});
    Checked checked;
    EXPECT_TRUE(wait_until([&] {
      const CommandResult result = agent_->cli(more);
      checked = {result.exit_code, json::parse(result.out, nullptr, false)};
      EXPECT_TRUE(checked.report.is_object()) << result.out << result.err;
      return result.out.find("did not end within") == std::string::npos &&
             result.out.find("\"Timeout: ") == std::string::npos;
    })) << checked.text();
    return checked;
  }
  // The findings of this name, and about this, where it is given.
  static std::vector<json> findings(const Checked& checked, const std::string& name,
                                    const std::string& about = "") {
    std::vector<json> found;
    for (const json& each : checked.report.value("findings", json::array())) {
      if (each.value("name", "") != name) continue;
      if (about.empty() || each.value("about", "") == about) found.push_back(each);
    }
    return found;
  }
  static json finding(const Checked& checked, const std::string& name, const std::string& about) {
    const std::vector<json> found = findings(checked, name, about);
    EXPECT_EQ(found.size(), 1u) << name << " " << about << checked.text();
    return found.empty() ? json{{"result", ""}, {"seen", ""}, {"mend", ""}} : found[0];
  }
  static void expect(const Checked& checked, const std::string& name, const std::string& about,
                     const std::string& result, const std::string& seen, const std::string& mend) {
    const json one = finding(checked, name, about);
    EXPECT_EQ(one.value("result", ""), result) << one;
    EXPECT_THAT(one.value("seen", ""), HasSubstr(seen)) << one;
    EXPECT_THAT(one.value("mend", ""), HasSubstr(mend)) << one;
  }
};

TEST_F(CheckTest, AHealthyDeviceIsWellAndStaysAsItIs) {
  publish(1, {sleeper("web", false)});
  running("web");
  const Leftovers before = leftovers();
  Checked checked;
  EXPECT_TRUE(wait_until([&] {
    checked = check();
    return checked.exit_code == 0;
  })) << checked.text();
  for (const json& each : checked.report["findings"]) {
    // Here is neither systemd nor what keeps the clock right; in a container capabilities are
    // missing, and other programs have their rules.
    const std::string name = each.value("name", "");
    const bool of_this_machine = (name == "daemon" && each.value("about", "") == "service") ||
                                 name == "clock" || name == "kernel" || name == "iptables" ||
                                 name == "disk";
    EXPECT_TRUE(each["result"] == "ok" || (of_this_machine && each["result"] == "warn")) << each;
    EXPECT_NE(each.value("seen", ""), "") << each;
    EXPECT_EQ(each["result"] == "ok", each.value("mend", "").empty()) << each;
  }
  for (const char* name :
       {"configuration", "permissions", "daemon", "containerd", "snapshotter", "runtime", "cgroups",
        "kernel", "cni", "iptables", "dns", "broker", "clock", "disk", "logs", "documents"}) {
    EXPECT_FALSE(findings(checked, name).empty()) << name;
  }
  expect(checked, "broker", "link", "ok", "connected since", "");
  expect(checked, "broker", broker_->url(), "ok", "reached at 127.0.0.1, without TLS", "");
  expect(checked, "documents", "devices/dev-1", "ok", "revision 1 was accepted at 20", "");
  expect(checked, "snapshotter", "overlayfs", "ok", "containerd has it", "");
  expect(checked, "cni", "host-local", "ok", "for versions", "");
  EXPECT_EQ(leftovers(), before) << leftovers().beyond(before) << before.beyond(leftovers());

  fleet_->publish("wherry/v1/devices/dev-1/commands/c-1", R"({"command":"check"})", {});
  const auto answer = fleet_->wait_for(
      [](const auto& each) { return each.topic == "wherry/v1/devices/dev-1/responses/c-1"; });
  ASSERT_TRUE(answer);
  const json told = json::parse(answer->payload);
  EXPECT_EQ(told["ok"], true);
  EXPECT_EQ(told["result"]["findings"].size(), checked.report["findings"].size());

  const CommandResult table = agent_->cli({"check"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_THAT(table.out, HasSubstr("ok    snapshotter    overlayfs: containerd has it\n"));
  EXPECT_THAT(table.out, Not(HasSubstr("\033")));
}

TEST_F(CheckTest, EachBrokenPartIsNamedWithWhatToDo) {
  TempDir broken;
  CertificateAuthority authority;
  const Certificate old = authority.issue("127.0.0.1", true);
  std::filesystem::permissions(old.key, std::filesystem::perms(0644));
  write_text(broken / "password", "hunter22\n");
  std::filesystem::permissions(broken / "password", std::filesystem::perms(0604));
  ASSERT_TRUE(make_directories(broken / "manifests", 0777));
  std::filesystem::permissions(broken / "manifests", std::filesystem::perms(0777));
  const std::string away = "mqtt://127.0.0.1:" + std::to_string(free_port());
  WherryOptions& options = agent_->options();
  options.brokers = {away};
  options.snapshotter = "nosuch";
  options.sets.insert(
      options.sets.end(),
      {"network.cni_bin_dir=" + (broken / "cni"), "mqtt.cert_file=" + old.certificate,
       "mqtt.key_file=" + old.key, "mqtt.ca_file=" + (broken / "ca.pem"), "mqtt.username=u",
       "mqtt.password_file=" + (broken / "password"), "manifests.dir=" + (broken / "manifests"),
       "storage.reserve=1000Ti", "containerd.runtime_classes={odd: io.containerd.nosuch.v1}"});
  agent_->restart();
  const Checked checked = check();
  EXPECT_EQ(checked.exit_code, 1);
  EXPECT_EQ(checked.report["result"], "fail");
  expect(checked, "snapshotter", "nosuch", "fail", "does not have it", "overlayfs");
  expect(checked, "runtime", "io.containerd.nosuch.v1", "fail",
         "containerd-shim-nosuch-v1 is not installed", "containerd.runtime_classes.odd");
  expect(checked, "runtime", "io.containerd.runc.v2", "ok", "runc version", "");
  expect(checked, "cni", "bridge", "fail", "no such program in " + (broken / "cni"),
         "network.cni_bin_dir");
  expect(checked, "broker", away, "fail", "ConnectionRefused", "mqtt.brokers");
  expect(checked, "certificate", old.certificate, "fail", "CertificateExpired", "renew it");
  expect(checked, "certificate", broken / "ca.pem", "fail", "mqtt.ca_file", "PEM");
  expect(checked, "permissions", old.key, "fail", "mqtt.key_file may be read or changed",
         "chmod 600 " + old.key);
  expect(checked, "permissions", broken / "password", "fail", "mqtt.password_file", "chmod 600 ");
  expect(checked, "permissions", broken / "manifests", "fail", "everybody may change", "chmod o-w");
  const std::vector<json> disks = findings(checked, "disk");
  EXPECT_TRUE(std::any_of(disks.begin(), disks.end(), [](const json& each) {
    return each["result"] == "fail" &&
           each["seen"].get<std::string>().find("storage.reserve") != std::string::npos;
  })) << checked.text();
  expect(checked, "documents", "", "warn", "none was ever accepted", "devices/dev-1/desired");

  const CommandResult table = agent_->cli({"check"});
  EXPECT_EQ(table.exit_code, 1);
  EXPECT_THAT(table.out, HasSubstr("fail  snapshotter    nosuch: containerd does not have it\n"));
  EXPECT_THAT(table.out, HasSubstr("-> set containerd.snapshotter to one of those it has: "));
}

TEST_F(CheckTest, BrokersWithTlsAreLookedAtAsTheLinkWould) {
  CertificateAuthority authority, foreign("Another authority");
  std::string listeners;
  const auto listen = [&](const Certificate& certificate, const std::string& more = "") {
    const int port = free_port();
    listeners += "listener " + std::to_string(port) + " 127.0.0.1\ncertfile " +
                 certificate.certificate + "\nkeyfile " + certificate.key + "\n" + more;
    return "mqtts://127.0.0.1:" + std::to_string(port);
  };
  const std::string good = listen(authority.issue("127.0.0.1"));
  const std::string old = listen(authority.issue("127.0.0.1", true));
  const std::string unknown = listen(foreign.issue("127.0.0.1"));
  const std::string other = listen(authority.issue("broker.example"));
  const std::string strict =
      listen(authority.issue("127.0.0.1"),
             "require_certificate true\ncafile " + foreign.certificate() + "\n");
  const MosquittoBroker tls({.extra_config = listeners});
  const std::string plain = "mqtts://127.0.0.1:" + std::to_string(tls.port());
  const Certificate own = authority.issue("127.0.0.1"), mixed = authority.issue("127.0.0.1");
  WherryOptions& options = agent_->options();
  options.brokers = {old, unknown, other, strict, plain, good};
  options.sets.insert(options.sets.end(),
                      {"mqtt.ca_file=" + authority.certificate(),
                       "mqtt.cert_file=" + own.certificate, "mqtt.key_file=" + own.key});
  agent_->restart();
  Checked checked;
  const auto says = [&](const std::string& about, const std::string& seen) {
    return finding(checked, "broker", about).value("seen", "").find(seen) != std::string::npos;
  };
  ASSERT_TRUE(wait_until([&] {
    checked = check();
    return says("link", "connected since") && says(strict, "ClientCertificateRejected");
  })) << checked.text();
  EXPECT_EQ(checked.exit_code, 0) << "one broker is enough: " << checked.text();
  expect(checked, "broker", good, "ok", "its certificate is good until 20", "");
  expect(checked, "broker", old, "warn", "BrokerCertificateExpired", "the device's clock");
  expect(checked, "broker", unknown, "warn", "BrokerCertificateUntrusted", "mqtt.ca_file");
  expect(checked, "broker", other, "warn", "BrokerNameMismatch", "as its certificate names it");
  expect(checked, "broker", strict, "warn", "ClientCertificateRejected", "mqtt.cert_file");
  expect(checked, "broker", plain, "warn", "TlsError", "speaks TLS");
  expect(checked, "certificate", own.certificate, "ok", "is valid until", "");

  options.sets.push_back("mqtt.key_file=" + mixed.key);
  agent_->restart();
  expect(check(), "certificate", mixed.key, "fail", "KeyMismatch", "issued for");
}

TEST_F(CheckTest, WorksWithoutADaemonAndWithoutContainerd) {
  containerd_->stop();
  const Checked without = check();
  EXPECT_EQ(without.exit_code, 1);
  expect(without, "containerd", containerd_->socket(), "fail", "", "containerd");
  expect(without, "broker", broker_->url(), "ok", "reached", "");
  containerd_->start();

  agent_->stop();
  const Checked offline = check({"--config", agent_->config_file()});
  EXPECT_EQ(offline.exit_code, 1);
  expect(offline, "daemon", agent_->api_socket(), "fail", "does not run",
         "systemctl start wherryd");
  expect(offline, "containerd", containerd_->socket(), "ok", "answers", "");
  expect(offline, "configuration", agent_->config_file(), "ok", "good", "");
  EXPECT_TRUE(findings(offline, "documents").empty()) << "only the daemon knows of them";

  const std::string bundle = files_ / "b.tar.gz";
  const CommandResult half =
      agent_->cli({"support-bundle", "-f", bundle, "--config", agent_->config_file()});
  EXPECT_EQ(half.exit_code, 0);
  EXPECT_THAT(half.err, HasSubstr("wherry: the daemon does not run: its state"));
  EXPECT_THAT(half.out, HasSubstr("wrote " + bundle));
  const std::string names = run_ok({"tar", "-tzf", bundle});
  for (const char* each : {"/check.json\n", "/configuration.yaml\n", "/containerd/tasks.json\n",
                           "/system/memory.txt\n", "/missing.txt\n"}) {
    EXPECT_THAT(names, HasSubstr(each));
  }
  EXPECT_THAT(run_ok({"tar", "-xzOf", bundle, "--wildcards", "*/versions.json"}),
              Not(HasSubstr("\"kernel\": \"\"")));

  write_text(files_ / "bad.yaml",
             "mqtt:\n  brokres: []\ncontainerd: { address: " + containerd_->socket() + " }\n");
  const Checked bad = check({"--config", files_ / "bad.yaml"});
  EXPECT_EQ(bad.exit_code, 1);
  expect(bad, "configuration", files_ / "bad.yaml", "fail", "brokres", "--check-config");
  expect(bad, "configuration", "the rest", "warn", "not looked at", "correct");
  for (const char* name : {"permissions", "containerd", "dns", "broker"}) {
    EXPECT_TRUE(findings(bad, name).empty()) << name << ": that would be about the defaults";
  }
}

}  // namespace
}  // namespace wherry::test
