// configs/samples/mosquitto as it is shipped: a device has its own topics and its groups', and no
// others.

#include <map>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/fleet/link_fixture.h"
#include "tests/support/certificates.h"
#include "tests/support/net.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSample = WHERRY_SOURCE_DIR "/configs/samples/mosquitto/";
constexpr const char* kRoot = "wherry/v1/";

// Everywhere; it has to be there.
void replace(std::string& text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("the sample has no " + from);
  for (; at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

class SampleBrokerTest : public ::testing::Test {
 protected:
  SampleBrokerTest() {
    for (const char* name : {"pump-7", "pump-8", "fleet-manager"}) {
      known_[name] = authority_.issue(name);
    }
    const Certificate server = authority_.issue("127.0.0.1");
    // Only its port, its directories and its user are the test's.
    std::string config = read_text(std::string(kSample) + "mosquitto.conf");
    replace(config, "listener 8883", "listener " + std::to_string(port_) + " 127.0.0.1");
    replace(config, "/etc/mosquitto/wherry/", dir_.path() + "/");
    replace(config, "/var/lib/mosquitto/", dir_.path() + "/");
    write_text(dir_ / "mosquitto.conf", config + "\nuser root\nlog_dest stderr\nlog_type all\n");
    write_text(dir_ / "acl", read_text(std::string(kSample) + "acl"));
    write_text(dir_ / "ca.pem", read_text(authority_.certificate()));
    write_text(dir_ / "server.pem", read_text(server.certificate));
    write_text(dir_ / "server.key", read_text(server.key));
    ProcessOptions options;
    options.argv = {"mosquitto", "-c", dir_ / "mosquitto.conf"};
    options.output_path = dir_ / "mosquitto.log";
    broker_ = std::make_unique<Process>(std::move(options));
    const bool serves = wait_until([&] { return accepts_tcp(port_) || !broker_->running(); });
    if (!serves || !broker_->running()) throw std::runtime_error("no mosquitto: " + tail(log()));
  }

  std::string log() const { return read_text(dir_ / "mosquitto.log"); }
  FleetOptions device(const std::string& name, std::vector<std::string> groups = {}) const {
    FleetOptions options = link_options({"mqtts://127.0.0.1:" + std::to_string(port_)});
    options.device_id = name;
    options.groups = std::move(groups);
    options.ca_file = authority_.certificate();
    options.cert_file = known_.at(name).certificate;
    options.key_file = known_.at(name).key;
    return options;
  }
  // mosquitto_pub or mosquitto_sub, with the certificate of `who`.
  std::vector<std::string> tool(const char* program, const std::string& who) const {
    return {program,
            "-V",
            "mqttv5",
            "-q",
            "1",
            "-h",
            "127.0.0.1",
            "-p",
            std::to_string(port_),
            "--cafile",
            authority_.certificate(),
            "--cert",
            known_.at(who).certificate,
            "--key",
            known_.at(who).key};
  }
  // What the tool says; nothing where the broker took the message.
  std::string publish(const std::string& who, const std::string& topic,
                      const std::string& payload) const {
    auto argv = tool("mosquitto_pub", who);
    argv.insert(argv.end(), {"-t", kRoot + topic, "-m", payload});
    return run_command(std::move(argv)).err;
  }
  // Hears all that `who` may hear; calls itself `client_id`. Returns once it is subscribed.
  std::unique_ptr<Process> listen(const std::string& who, const std::string& client_id) {
    ProcessOptions options;
    options.argv = tool("mosquitto_sub", who);
    options.argv.insert(options.argv.end(), {"-v", "-i", client_id, "-t", "#"});
    options.output_path = dir_ / (who + ".out");
    auto process = std::make_unique<Process>(std::move(options));
    const bool subscribed =
        wait_until([&] { return log().find("Sending SUBACK to " + who) != std::string::npos; });
    EXPECT_TRUE(subscribed) << tail(log());
    return process;
  }
  static bool wait_for(const Process& listener, const std::string& text) {
    return wait_until([&] { return listener.output().find(text) != std::string::npos; });
  }

  TempDir dir_;
  CertificateAuthority authority_;
  std::map<std::string, Certificate> known_;
  int port_ = free_port();
  std::unique_ptr<Process> broker_;
};

TEST_F(SampleBrokerTest, ADeviceHearsWhatIsMeantForItAndTellsOfItself) {
  const auto manager = listen("fleet-manager", "fleet-manager");
  TestLink link(device("pump-7", {"pumps"}));
  ASSERT_TRUE(link.wait_connected()) << link->status().message;
  EXPECT_TRUE(wait_for(*manager, "devices/pump-7/presence {"));
  link->publish_reported("first news");
  EXPECT_TRUE(wait_for(*manager, "devices/pump-7/reported first news"));
  CommandAnswer answer;
  answer.request = "r-1";
  answer.payload = "an answer";
  ASSERT_TRUE(link->answer(std::move(answer)));
  EXPECT_TRUE(wait_for(*manager, "devices/pump-7/responses/r-1 an answer"));
  for (const char* topic : {"events", "telemetry", "logs/web/web", "data/web/temperatures"}) {
    EXPECT_EQ(publish("pump-8", std::string("devices/pump-8/") + topic, "a batch"), "") << topic;
    EXPECT_TRUE(wait_for(*manager, std::string("devices/pump-8/") + topic + " a batch"));
  }
}

TEST_F(SampleBrokerTest, AManagersMessagesReachTheDeviceAndTheMembersOfAGroup) {
  TestLink link(device("pump-7", {"pumps"}));
  ASSERT_TRUE(link.wait_connected()) << link->status().message;
  EXPECT_EQ(publish("fleet-manager", "devices/pump-7/desired", "own"), "");
  EXPECT_EQ(publish("fleet-manager", "groups/pumps/desired", "all"), "");
  EXPECT_EQ(publish("fleet-manager", "devices/pump-7/commands/r-1", "do"), "");
  EXPECT_EQ(publish("fleet-manager", "groups/pumps/commands/r-2", "do"), "");
  EXPECT_TRUE(link.wait_desired("devices/pump-7", "own"));
  EXPECT_TRUE(link.wait_desired("groups/pumps", "all"));
  EXPECT_TRUE(wait_until([&] { return link.commands().size() == 2; }));
}

TEST_F(SampleBrokerTest, ADeviceHearsNothingThatIsMeantForOthers) {
  TestLink other(device("pump-7", {"pumps"}));
  ASSERT_TRUE(other.wait_connected()) << other->status().message;
  const auto curious = listen("pump-8", "curious");
  for (const char* topic : {"devices/pump-7/desired", "devices/pump-7/commands/r-1",
                            "groups/pumps/desired", "groups/pumps/commands/r-1"}) {
    EXPECT_EQ(publish("fleet-manager", topic, "secret"), "");
  }
  other->publish_reported("secret");
  EXPECT_TRUE(other.wait_desired("groups/pumps", "secret"));
  // A client gets its messages in order: what would have come has come before this one.
  EXPECT_EQ(publish("fleet-manager", "devices/pump-8/desired", "the last"), "");
  ASSERT_TRUE(wait_for(*curious, "devices/pump-8/desired the last")) << tail(log());
  EXPECT_THAT(curious->output(), Not(HasSubstr("secret")));
  EXPECT_THAT(curious->output(), Not(AnyOf(HasSubstr("pump-7"), HasSubstr("groups/"))));
}

TEST_F(SampleBrokerTest, ADeviceSpeaksForNobodyElseAndOrdersNothing) {
  const auto manager = listen("fleet-manager", "fleet-manager");
  TestLink other(device("pump-7", {"pumps"}));
  ASSERT_TRUE(other.wait_connected()) << other->status().message;
  for (const char* topic :
       {"devices/pump-7/reported", "devices/pump-7/presence", "devices/pump-7/desired",
        "devices/pump-7/commands/r-1", "groups/pumps/desired", "groups/pumps/commands/r-1",
        "devices/pump-8/desired", "devices/pump-8/commands/r-1"}) {
    EXPECT_THAT(publish("pump-8", topic, "forged"), HasSubstr("Not authorized")) << topic;
  }
  EXPECT_EQ(publish("pump-8", "devices/pump-8/events", "the last"), "");
  ASSERT_TRUE(wait_for(*manager, "devices/pump-8/events the last"));
  EXPECT_THAT(manager->output(), Not(HasSubstr("forged")));
  EXPECT_EQ(publish("fleet-manager", "devices/pump-7/desired", "the last"), "");
  ASSERT_TRUE(other.wait_desired("devices/pump-7", "the last"));
  EXPECT_EQ(other.desired().size(), 1u);
  EXPECT_TRUE(other.commands().empty());
}

TEST_F(SampleBrokerTest, NobodyTakesOverTheSessionOfAnother) {
  TestLink link(device("pump-7"));
  ASSERT_TRUE(link.wait_connected()) << link->status().message;
  const auto other = listen("pump-8", "pump-7");
  EXPECT_THAT(log(), HasSubstr("as pump-8 (p5"));
  EXPECT_THAT(log(), Not(HasSubstr("Client pump-7 already connected")));
  EXPECT_TRUE(link->status().connected);
}

TEST_F(SampleBrokerTest, WhoHasNoCertificateOrAForeignOneIsNotLetIn) {
  CertificateAuthority foreign("Another authority");
  const Certificate forged = foreign.issue("pump-7");
  FleetOptions without = device("pump-7");
  without.cert_file = without.key_file = "";
  FleetOptions with_forged = device("pump-7");
  with_forged.cert_file = forged.certificate;
  with_forged.key_file = forged.key;
  for (const FleetOptions& options : {without, with_forged}) {
    TestLink link(options);
    // More than the first: that one says that it is connecting.
    EXPECT_TRUE(wait_until([&] { return link.statuses().size() > 1; }));
    for (const LinkStatus& status : link.statuses()) EXPECT_FALSE(status.connected);
  }
}

}  // namespace
}  // namespace wherry::test
