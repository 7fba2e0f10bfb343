// A device that believes signatures only: documents and commands, signed by the tool, over a
// broker.

#include <gmock/gmock.h>

#include "base/clock.h"
#include "tests/support/system_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class SigningTest : public SystemTest {
 protected:
  void configure(WherryOptions& options) override {
    run_ok({"mkdir", "-p", keys()});
    run_ok({"openssl", "genpkey", "-algorithm", "ed25519", "-out", key_dir_ / "ops.key"});
    run_ok(
        {"openssl", "pkey", "-in", key_dir_ / "ops.key", "-pubout", "-out", keys() + "/ops.pem"});
    options.sets.push_back("security.require_signature=true");
    options.sets.push_back("security.trusted_keys_dir=" + keys());
  }
  std::string keys() const { return key_dir_ / "keys"; }
  std::string sign(const std::string& text) {
    write_text(key_dir_ / "text", text);
    const CommandResult made =
        agent_->cli({"sign", "-f", key_dir_ / "text", "--key", key_dir_ / "ops.key"});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return made.out;
  }
  std::string rejection() {
    const json document = document_in(agent_->reported());
    const json errors = document.value("rejected", json::object()).value("errors", json::array());
    return errors.empty() ? "" : errors[0].value("message", "");
  }
  TempDir key_dir_;
};

TEST_F(SigningTest, OnlyWhatIsSignedIsDone) {
  json desired = json::parse(desired_document(1, json::array({sleeper("web")})));
  fleet_->publish_retained(desired_topic(), desired.dump());
  EXPECT_TRUE(wait_until([&] { return rejection().find("not signed") != std::string::npos; }))
      << agent_->reported().dump(1);
  desired["metadata"]["target"] = "devices/dev-1";
  fleet_->publish_retained(desired_topic(), sign(desired.dump()));
  running("web");
  const auto before = tasks();

  const auto ask = [&](const std::string& request, const std::string& payload) {
    fleet_->publish("wherry/v1/devices/dev-1/commands/" + request, payload);
    const auto message = fleet_->wait_for([&](const auto& each) {
      return each.topic == "wherry/v1/devices/dev-1/responses/" + request;
    });
    EXPECT_TRUE(message) << tail(agent_->log());
    return message ? json::parse(message->payload, nullptr, false) : json();
  };
  json ping = {{"command", "ping"}, {"target", "devices/dev-1"}, {"request", "r-2"}};
  EXPECT_EQ(ask("r-1", ping.dump())["ok"], false);
  ping["expires"] = to_rfc3339(SystemClock().wall() + std::chrono::minutes(10));
  EXPECT_EQ(ask("r-2", sign(ping.dump()))["ok"], true);

  // The next life keeps what was accepted, whatever becomes of the key.
  run_ok({"rm", keys() + "/ops.pem"});
  agent_->restart();
  running("web");
  EXPECT_EQ(tasks(), before);
}

TEST_F(SigningTest, TheToolRefusesWhatNoDeviceWouldTake) {
  const auto refuse = [&](const std::string& text, std::vector<std::string> more = {}) {
    write_text(key_dir_ / "text", text);
    std::vector<std::string> words{"sign", "-f", key_dir_ / "text", "--key", key_dir_ / "ops.key"};
    words.insert(words.end(), more.begin(), more.end());
    return agent_->cli(words);
  };
  CommandResult refused = refuse(desired_document(1, json::array({sleeper("web")})));
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_THAT(refused.err, HasSubstr("metadata.target: is missing"));
  refused = refuse("kind: Nonsense");
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_THAT(refused.err, HasSubstr("wherry validate"));
  refused = refuse(R"({"command":"ping"})");
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_THAT(refused.err, HasSubstr("target: a signed command"));
  refused = refuse("x", {"--kid", "a/b"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("cannot name a key"));
  run_ok({"chmod", "644", key_dir_ / "ops.key"});
  refused = refuse("x");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("chmod 600"));
}

}  // namespace
}  // namespace wherry::test
