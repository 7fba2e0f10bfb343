// Commands of which a signature is wanted.

#include <filesystem>

#include <gtest/gtest.h>

#include "agent/signing/jws.h"
#include "tests/support/process.h"
#include "tests/unit/command/desk_fixture.h"

namespace wherry {
namespace {

using test::run_ok;

// For this device, as this request, until then: whoever heard a signed command cannot use it again.
TEST_F(DeskTest, ASignedCommandIsBoundToItsPlaceAndTime) {
  const std::string keys = dir_ / "keys";
  std::filesystem::create_directory(keys);
  run_ok({"openssl", "genpkey", "-algorithm", "ed25519", "-out", dir_ / "ops.key"});
  run_ok({"openssl", "pkey", "-in", dir_ / "ops.key", "-pubout", "-out", keys + "/ops.pem"});
  const auto key = read_private_key(dir_ / "ops.key");
  ASSERT_TRUE(key) << key.error().full();
  options_.signatures = {true, keys};
  new_life();
  const auto in = [this](Duration wait) { return to_rfc3339(clock_.wall() + wait); };
  const auto with = [&](const json& changes) {
    json command = json::parse(kRestart);
    command["target"] = "devices/dev-1";
    command["request"] = "1";
    command["expires"] = in(std::chrono::minutes(5));
    command.merge_patch(changes);
    return *sign_jws(command.dump(), *key, "ops");
  };
  const auto refusal = [&](const std::string& payload) {
    const json refused = ask("1", payload);
    EXPECT_EQ(code(refused), "PermissionDenied");
    return refused["error"]["message"].get<std::string>();
  };
  EXPECT_THAT(refusal(kRestart), HasSubstr("require_signature"));
  EXPECT_THAT(refusal(with({{"target", nullptr}})), HasSubstr("for whom"));
  EXPECT_THAT(refusal(with({{"request", nullptr}})), HasSubstr("as which request"));
  EXPECT_THAT(refusal(with({{"expires", nullptr}})), HasSubstr("until when"));
  EXPECT_THAT(refusal(with({{"target", "devices/dev-2"}})), HasSubstr("is for devices/dev-2"));
  EXPECT_THAT(refusal(with({{"request", "2"}})), HasSubstr("is request 2"));
  EXPECT_THAT(refusal(with({{"expires", in(-std::chrono::seconds(5))}})), HasSubstr("expired at"));
  EXPECT_THAT(refusal(with({{"expires", in(std::chrono::hours(48))}})), HasSubstr("at most"));
  EXPECT_EQ(code(ask("1", with({{"expires", "soon"}}))), "InvalidArgument");
  EXPECT_EQ(code(ask("1", with({{"target", 1}}))), "InvalidArgument");
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(ask("1", with(json::object()))["ok"], true);
  EXPECT_EQ(orders_, 1);
  EXPECT_EQ(ask("1", with(json::object()))["ok"], true) << "answered again";
  EXPECT_EQ(orders_, 1) << "and not done again";
  // Whoever may not command does not say where its answer goes either.
  CommandMessage unsigned_one = message("1", "not even JSON");
  unsigned_one.response_topic = "theirs";
  desk_->receive(unsigned_one);
  EXPECT_EQ(code(answer("1")), "PermissionDenied");
  new_life();
  EXPECT_EQ(answer("1")["ok"], true);
  EXPECT_EQ(last_.response_topic, "");
}

}  // namespace
}  // namespace wherry
