// mqtts: a private authority, and what is said where certificates are not as they should be.

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/fleet/link_fixture.h"
#include "tests/integration/fleet/raw_server.h"
#include "tests/support/certificates.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/net.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A broker with TLS for 127.0.0.1.
class TlsTest : public ::testing::Test {
 protected:
  // What the broker shows, and whether it wants a certificate of its clients.
  std::unique_ptr<MosquittoBroker> broker(const Certificate& shown, bool strict = false) {
    const std::string asks = strict ? "require_certificate true\nuse_identity_as_username true\n"
                                      "allow_anonymous false\ncafile " +
                                          ours_.certificate() + "\n"
                                    : "";
    return std::make_unique<MosquittoBroker>(MosquittoOptions{
        .extra_config = "listener " + std::to_string(tls_port_) + " 127.0.0.1\ncertfile " +
                        shown.certificate + "\nkeyfile " + shown.key + "\n" + asks});
  }
  FleetOptions options() const {
    FleetOptions options = link_options({"mqtts://127.0.0.1:" + std::to_string(tls_port_)});
    options.ca_file = ours_.certificate();
    options.keepalive = std::chrono::seconds(5);
    options.certificate_look = std::chrono::milliseconds(20);
    return options;
  }
  FleetOptions with(const Certificate& own) const {
    FleetOptions made = options();
    made.cert_file = own.certificate;
    made.key_file = own.key;
    return made;
  }

  TempDir dir_;
  CertificateAuthority ours_{"Ours"}, foreign_{"Foreign"};
  int tls_port_ = free_port();
};

TEST_F(TlsTest, CarriesLargeMessagesBothWays) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"));
  TestLink link(options());
  ASSERT_TRUE(link.wait_connected()) << link->status().message;
  link->publish_reported(std::string(1u << 20, 'x'));
  EXPECT_TRUE(wait_until([&] { return broker->log().find("1048576 bytes") != std::string::npos; }));
  const std::string large(1u << 20, 'd');
  write_text(dir_ / "desired", large);
  run_ok({"mosquitto_pub", "-p", std::to_string(broker->port()), "-q", "1", "-r", "-t",
          "wherry/v1/devices/dev-1/desired", "-f", dir_ / "desired"});
  EXPECT_TRUE(link.wait_desired("devices/dev-1", large));
  link->stop(std::chrono::seconds(20));
  EXPECT_TRUE(wait_until(
      [&] { return broker->log().find("Received DISCONNECT from dev-1") != std::string::npos; }));
}

TEST_F(TlsTest, ItsOwnCertificateSaysWhoItIs) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"), true);
  TestLink link(with(ours_.issue("pump-7")));
  ASSERT_TRUE(link.wait_connected()) << link->status().message;
  EXPECT_THAT(broker->log(), HasSubstr("u'pump-7'"));
}

struct Fault {
  const char* host = "127.0.0.1";
  const char* from = "20200101000000Z";
  const char* until = "20990101000000Z";
  const char* reason = "";
  const char* said = "";
};

TEST_F(TlsTest, WhatIsWrongWithTheBrokersCertificateIsNamed) {
  for (const Fault& fault :
       {Fault{
            .until = "20200102000000Z", .reason = "BrokerCertificateExpired", .said = "2020-01-02"},
        Fault{.from = "20980101000000Z",
        .reason = "BrokerCertificateNotYetValid",
        .said = "set the clock"},
        Fault{.host = "broker.example", .reason = "BrokerNameMismatch", .said = "127.0.0.1"}}) {
    const auto broker = this->broker(ours_.issue(fault.host, fault.from, fault.until));
    TestLink link(options());
    EXPECT_TRUE(link.wait_reason(fault.reason)) << link->status().reason << link->status().message;
    EXPECT_THAT(link->status().message, HasSubstr(fault.said));
    EXPECT_FALSE(link->status().connected);
  }
}

TEST_F(TlsTest, ABrokerThatNobodyVouchesForIsNotTrusted) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"));
  for (const std::string& authority : {foreign_.certificate(), std::string()}) {
    FleetOptions strange = options();
    strange.ca_file = authority;
    TestLink link(strange);
    EXPECT_TRUE(link.wait_reason("BrokerCertificateUntrusted")) << link->status().message;
    EXPECT_THAT(link->status().message, HasSubstr("mqtt.ca_file"));
  }
}

TEST_F(TlsTest, WhatIsWrongWithItsOwnCertificateIsNamed) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"), true);
  const std::pair<FleetOptions, const char*> cases[] = {
      {options(), "ClientCertificateRequired"},
      {with(ours_.issue("pump-7", true)), "ClientCertificateExpired"},
      {with(ours_.issue("pump-7", "20980101000000Z", "20990101000000Z")),
       "ClientCertificateRejected"},
      {with(foreign_.issue("pump-7")), "ClientCertificateRejected"}};
  for (const auto& [own, reason] : cases) {
    TestLink link(own);
    EXPECT_TRUE(link.wait_reason(reason)) << link->status().reason << link->status().message;
    EXPECT_THAT(link->status().message, HasSubstr("mqtt.cert_file"));
  }
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreNamed) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"));
  const Certificate own = ours_.issue("pump-7");
  const Certificate other = ours_.issue("pump-8");
  const auto changed = [&](auto change) {
    FleetOptions made = with(own);
    change(made);
    return made;
  };
  const std::pair<FleetOptions, const char*> cases[] = {
      {changed([](auto& o) { o.ca_file = "/no/such/file"; }), "CaFileUnreadable"},
      {changed([](auto& o) { o.cert_file = "/no/such/file"; }), "CertificateFileUnreadable"},
      {changed([&](auto& o) { o.cert_file = o.key_file; }), "CertificateFileUnreadable"},
      {changed([](auto& o) { o.key_file = "/no/such/file"; }), "KeyFileUnreadable"},
      {changed([&](auto& o) { o.key_file = other.key; }), "KeyMismatch"}};
  for (const auto& [own_files, reason] : cases) {
    TestLink link(own_files);
    EXPECT_TRUE(link.wait_reason(reason)) << link->status().reason << link->status().message;
    EXPECT_THAT(link->status().message, HasSubstr("mqtt."));
  }
}

// The pause between attempts is an hour here: only the mended file ends it.
TEST_F(TlsTest, AKeyThatOthersMayReadIsRefusedUntilItIsMended) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"), true);
  FleetOptions own = with(ours_.issue("pump-7"));
  own.reconnect_min = own.reconnect_max = std::chrono::hours(1);
  std::filesystem::permissions(own.key_file, std::filesystem::perms(0644));
  TestLink link(own);
  ASSERT_TRUE(link.wait_reason("KeyFileInsecure")) << link->status().message;
  EXPECT_THAT(link->status().message, HasSubstr("chmod 600 " + own.key_file));
  EXPECT_THAT(broker->log(), Not(HasSubstr("pump-7"))) << "it has shown its certificate";
  std::filesystem::permissions(own.key_file, std::filesystem::perms(0600));
  EXPECT_TRUE(link.wait_connected()) << link->status().message;
}

TEST_F(TlsTest, PlainServerBehindMqttsIsATlsError) {
  for (const bool hang_up : {true, false}) {
    RawServer server(hang_up ? "" : "\x20\x02\x01\x05 no TLS here", hang_up);
    FleetOptions other = options();
    other.brokers = {server.url("mqtts")};
    TestLink link(other);
    EXPECT_TRUE(link.wait_reason("TlsError")) << link->status().reason;
  }
}

TEST_F(TlsTest, APlainClientIsToldWhatThePortMayWant) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"));
  FleetOptions plain = options();
  const std::string tls = "mqtt://127.0.0.1:" + std::to_string(tls_port_);
  plain.brokers = {tls};
  TestLink link(plain);
  // As the broker ends it: without a word, or with an alert.
  EXPECT_TRUE(wait_until([&] {
    return link->status().message.find("mqtts://") != std::string::npos;
  })) << link->status().reason
      << link->status().message;
}

// The first words are for everybody to read (RFC 8446, 4.1.2).
TEST_F(TlsTest, TheFirstWordsNameTheBrokerAndTheProtocolAndNoOldVersion) {
  const RawServer server("", true);
  FleetOptions named = options();
  named.alpn = "x-amzn-mqtt-ca";
  // A name with an address where nobody listens, mostly, before the one of the server.
  const std::string port = server.url("");
  named.brokers = {"mqtts://localhost" + port.substr(port.rfind(':'))};
  TestLink link(named);
  ASSERT_TRUE(wait_until([&] { return !server.first_bytes().empty(); })) << link->status().message;
  const std::string hello = server.first_bytes();
  EXPECT_THAT(hello, HasSubstr("localhost"));
  EXPECT_THAT(hello, HasSubstr("x-amzn-mqtt-ca"));
  // supported_versions: two, 1.3 and 1.2.
  EXPECT_THAT(hello, HasSubstr(std::string("\x00\x2b\x00\x05\x04\x03\x04\x03\x03", 9)));
}

TEST_F(TlsTest, AnAddressIsNoServerName) {
  const RawServer server("", true);
  FleetOptions bare = options();
  bare.brokers = {server.url("mqtts")};
  TestLink link(bare);
  ASSERT_TRUE(wait_until([&] { return !server.first_bytes().empty(); }));
  EXPECT_THAT(server.first_bytes(), Not(HasSubstr("127.0.0.1")));
}

TEST_F(TlsTest, AnOldVersionIsRefused) {
  const Certificate server = ours_.issue("127.0.0.1");
  ProcessOptions old;
  old.argv = {"openssl",
              "s_server",
              "-accept",
              std::to_string(tls_port_),
              "-cert",
              server.certificate,
              "-key",
              server.key,
              "-tls1_1",
              "-cipher",
              "ALL:@SECLEVEL=0",
              "-quiet"};
  Process process(std::move(old));
  ASSERT_TRUE(wait_until([&] { return accepts_tcp(tls_port_); }));
  TestLink link(options());
  EXPECT_TRUE(link.wait_reason("TlsVersionUnsupported"))
      << link->status().reason << link->status().message;
}

TEST_F(TlsTest, ANewCertificateIsUsedWithoutCuttingTheLink) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"), true);
  const Certificate old = ours_.issue("old-name", days_from_now(-300), days_from_now(20));
  const Certificate fresh = ours_.issue("new-name", days_from_now(-1), days_from_now(365));
  const auto lay = [&](const Certificate& certificate) {
    write_text(dir_ / "next", read_text(certificate.key), 0600);
    std::filesystem::rename(dir_ / "next", dir_ / "own.key");
    write_text(dir_ / "next", read_text(certificate.certificate));
    std::filesystem::rename(dir_ / "next", dir_ / "own.pem");
  };
  lay(old);
  TestLink link(with({dir_ / "own.pem", dir_ / "own.key"}));
  ASSERT_TRUE(link.wait_connected()) << link->status().message;
  const auto said = [&] { return link->status().certificate.value_or(CertificateStatus{}); };
  EXPECT_TRUE(wait_until([&] { return said().reason == "CertificateExpiring"; }));
  EXPECT_TRUE(said().valid);
  EXPECT_THAT(said().message, AllOf(HasSubstr("old-name"), HasSubstr("mqtt.cert_file")));

  lay(fresh);
  EXPECT_TRUE(wait_until([&] { return said().reason.empty(); })) << said().message;
  EXPECT_THAT(said().message, HasSubstr("valid until"));
  for (const LinkStatus& status : link.statuses()) {
    EXPECT_TRUE(status.connected || status.reason == "Connecting") << status.reason;
  }
  EXPECT_THAT(broker->log(), Not(HasSubstr("u'new-name'")));
  broker->restart();
  EXPECT_TRUE(wait_until([&] { return broker->log().find("u'new-name'") != std::string::npos; }));
}

TEST_F(TlsTest, AnExpiredCertificateOfItsOwnIsShownAndTriedAllTheSame) {
  const auto broker = this->broker(ours_.issue("127.0.0.1"));
  TestLink link(with(ours_.issue("pump-7", true)));
  EXPECT_TRUE(wait_until([&] { return link->status().certificate.has_value(); }));
  EXPECT_FALSE(link->status().certificate->valid);
  EXPECT_EQ(link->status().certificate->reason, "CertificateExpired");
  // This broker wants none: a clock that is wrong here would be no reason either.
  EXPECT_TRUE(link.wait_connected()) << link->status().message;
}

}  // namespace
}  // namespace wherry::test
