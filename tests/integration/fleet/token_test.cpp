// A client's key in a PKCS#11 token: SoftHSM stands for a TPM or a secure element.

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/fleet/link_fixture.h"
#include "tests/integration/fleet/raw_server.h"
#include "tests/support/certificates.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A module of PKCS#11 stays in a process, with what it knows of its tokens: the tests share them.
// Whoever has shown his PIN once is known, too, so the wrong one has a token of its own.
class TokenTest : public ::testing::Test {
 protected:
  struct Tokens {
    TempDir dir;
    CertificateAuthority ours;
    Certificate own = ours.issue("pump-7");
  };
  static void SetUpTestSuite() {
    tokens_ = std::make_unique<Tokens>();
    const TempDir& dir = tokens_->dir;
    std::filesystem::create_directory(dir / "tokens");
    write_text(dir / "softhsm2.conf",
               "directories.tokendir = " + (dir / "tokens") + "\nlog.level = ERROR\n");
    setenv("SOFTHSM2_CONF", (dir / "softhsm2.conf").c_str(), 1);
    for (const char* token : {"device", "strict"}) {
      run_ok({"softhsm2-util", "--init-token", "--free", "--label", token, "--pin", "1234",
              "--so-pin", "5678"});
      run_ok({"softhsm2-util", "--import", tokens_->own.key, "--token", token, "--label", "mqtt",
              "--id", "01", "--pin", "1234"});
    }
    std::filesystem::remove(tokens_->own.key);  // nothing but the tokens has it now
  }
  static void TearDownTestSuite() { tokens_.reset(); }

  TokenTest() {
    const Certificate server = tokens_->ours.issue("127.0.0.1");
    broker_ = std::make_unique<MosquittoBroker>(MosquittoOptions{
        .extra_config = "listener " + std::to_string(tls_port_) + " 127.0.0.1\ncertfile " +
                        server.certificate + "\nkeyfile " + server.key + "\ncafile " +
                        tokens_->ours.certificate() +
                        "\nrequire_certificate true\nuse_identity_as_username true\n"});
  }

  FleetOptions options(const std::string& token, const std::string& object) const {
    FleetOptions options = link_options({"mqtts://127.0.0.1:" + std::to_string(tls_port_)});
    options.ca_file = tokens_->ours.certificate();
    options.cert_file = tokens_->own.certificate;
    options.key_file =
        "pkcs11:token=" + token + ";object=" + object + "?pin-source=file:" + pin_file();
    return options;
  }
  std::string pin_file() const { return dir_ / "pin"; }

  static std::unique_ptr<Tokens> tokens_;
  TempDir dir_;
  int tls_port_ = free_port();
  std::unique_ptr<MosquittoBroker> broker_;
};
std::unique_ptr<TokenTest::Tokens> TokenTest::tokens_;

TEST_F(TokenTest, AKeyThatNeverLeavesItsTokenConnectsTheDevice) {
  write_text(pin_file(), "1234\n", 0600);
  TestLink link(options("device", "mqtt"));
  ASSERT_TRUE(link.wait_connected()) << link->status().reason << link->status().message;
  EXPECT_THAT(broker_->log(), HasSubstr("u'pump-7'"));
  broker_->restart();
  EXPECT_TRUE(wait_until([&] { return link.statuses().size() >= 3; }));
  EXPECT_TRUE(link.wait_connected()) << link->status().message;
}

TEST_F(TokenTest, ARefusedPinIsShownToTheTokenOnceOnly) {
  write_text(pin_file(), "9999\n", 0600);
  FleetOptions own = options("strict", "mqtt");
  const RawServer rounds("", true);  // counts how often the list of brokers is tried
  own.brokers.push_back(rounds.url());
  testing::internal::CaptureStderr();
  TestLink link(own);
  EXPECT_TRUE(link.wait_reason("TokenPinRefused"));
  EXPECT_TRUE(wait_until([&] { return rounds.connections() >= 4; }));
  // The engine says it each time that a token has refused.
  const std::string engine = testing::internal::GetCapturedStderr();
  const size_t first = engine.find("Login failed");
  EXPECT_NE(first, std::string::npos) << engine;
  EXPECT_EQ(engine.find("Login failed", first + 1), std::string::npos) << engine;
  for (const LinkStatus& status : link.statuses()) {
    EXPECT_THAT(status.message, Not(HasSubstr("9999")));
  }
  write_text(pin_file(), "1234\n", 0600);
  EXPECT_TRUE(link.wait_connected()) << link->status().message;
}

TEST_F(TokenTest, WhatIsMissingIsNamed) {
  {
    write_text(pin_file(), "1234\n", 0644);
    TestLink link(options("device", "mqtt"));
    EXPECT_TRUE(link.wait_reason("KeyFileInsecure")) << link->status().reason;
    EXPECT_THAT(link->status().message, HasSubstr("chmod 600 " + pin_file()));
  }
  std::filesystem::permissions(pin_file(), std::filesystem::perms(0600));
  TestLink link(options("device", "other"));
  EXPECT_TRUE(link.wait_reason("TokenUnavailable")) << link->status().reason;
  EXPECT_THAT(link->status().message, HasSubstr("object=other"));
}

}  // namespace
}  // namespace wherry::test
