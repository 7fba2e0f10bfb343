// Brokers are judged by the link, and spoken of in its words.

#include <filesystem>
#include <map>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/check/broker_mends.h"
#include "agent/check/probes.h"
#include "tests/support/certificates.h"
#include "tests/support/net.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::check {
namespace {

using test::Certificate;
using test::CertificateAuthority;
using test::TempDir;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(BrokerMends, EachWordOfTheGuideHasOne) {
  const std::string guide = test::read_text(WHERRY_SOURCE_DIR "/docs/troubleshooting.md");
  const size_t begin = guide.find("\n### BrokerConnected\n"), end = guide.find("\n## ", begin);
  ASSERT_NE(begin, std::string::npos);
  EXPECT_EQ(broker_mend("NoSuchWord"), "");
  const std::string part = guide.substr(begin, end - begin);
  // Only a row's first cell has words.
  const std::regex row("\n\\|([^|]*)\\|"), word("`([A-Z][A-Za-z]+)`");
  size_t words = 0;
  for (std::sregex_iterator each(part.begin(), part.end(), row), none; each != none; ++each) {
    const std::string cell = (*each)[1];
    for (std::sregex_iterator one(cell.begin(), cell.end(), word); one != none; ++one) {
      const std::string reason = (*one)[1];
      ++words;
      EXPECT_NE(broker_mend(reason), "") << reason;
    }
  }
  EXPECT_GT(words, 30u);
}

class BrokerProbe : public testing::Test {
 protected:
  BrokerProbe() { mqtt_.ca_file = ours_.certificate(); }
  // What listens at port_, until the next one.
  void serve(const Certificate& shown, std::vector<std::string> more = {}) {
    server_.reset();
    port_ = test::free_port();
    test::ProcessOptions options;
    options.argv = {"openssl", "s_server",        "-rev", "-accept", std::to_string(port_),
                    "-cert",   shown.certificate, "-key", shown.key};
    options.argv.insert(options.argv.end(), more.begin(), more.end());
    server_ = std::make_unique<test::Process>(std::move(options));
    ASSERT_TRUE(test::wait_until([&] { return test::accepts_tcp(port_); })) << server_->output();
  }
  std::string url(const std::string& scheme = "mqtts") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_);
  }
  Finding look(const std::string& broker) {
    auto subject = std::make_shared<Subject>();
    subject->config.mqtt = mqtt_;
    subject->config.mqtt.brokers = {broker};
    const Findings findings = look_at_brokers({subject, std::nullopt, {}});
    EXPECT_EQ(findings.size(), 1u);
    return findings.empty() ? Finding{} : findings[0];
  }
  Findings look_at_files() const {
    auto subject = std::make_shared<Subject>();
    subject->config.mqtt = mqtt_;
    return look_at_certificates({subject, std::nullopt, {}});
  }
  void expect(const std::string& reason, const std::string& said, const std::string& mend) {
    const Finding finding = look(url());
    EXPECT_EQ(finding.level, Level::Fail) << reason;
    EXPECT_THAT(finding.seen, AllOf(StartsWith(reason + ": "), HasSubstr(said)));
    EXPECT_THAT(finding.mend, HasSubstr(mend));
  }

  TempDir dir_;
  CertificateAuthority ours_{"Ours"}, foreign_{"Foreign"};
  Config::Mqtt mqtt_;
  int port_ = 0;
  std::unique_ptr<test::Process> server_;
};

TEST_F(BrokerProbe, TheBrokersCertificateIsJudgedAsByTheLink) {
  serve(ours_.issue("127.0.0.1"));
  const Finding good = look(url());
  EXPECT_EQ(good.level, Level::Ok) << good.seen;
  EXPECT_THAT(good.seen, AllOf(HasSubstr("127.0.0.1 by TLSv1.3"), HasSubstr("good until 20")));
  serve(ours_.issue("127.0.0.1", test::days_from_now(-300), test::days_from_now(20)));
  EXPECT_EQ(look(url()).level, Level::Warn) << "it ends soon";
  serve(ours_.issue("127.0.0.1", true));
  expect("BrokerCertificateExpired", "has expired at", "renew the broker's certificate");
  serve(ours_.issue("127.0.0.1", "20980101000000Z", "20990101000000Z"));
  expect("BrokerCertificateNotYetValid", "2098-01-01", "set the device's clock");
  serve(foreign_.issue("127.0.0.1"));
  expect("BrokerCertificateUntrusted", "trusts", "mqtt.ca_file");
  serve(ours_.issue("broker.example"));
  expect("BrokerNameMismatch", "is not for 127.0.0.1", "as its certificate names it");
}

TEST_F(BrokerProbe, TheDevicesOwnFilesAreJudgedAsByTheLink) {
  serve(ours_.issue("127.0.0.1"),
        {"-Verify", "1", "-CAfile", ours_.certificate(), "-verify_return_error"});
  expect("ClientCertificateRequired", "mqtt.cert_file", "mqtt.key_file");
  const Certificate own = ours_.issue("pump-7"), other = ours_.issue("pump-8");
  mqtt_.cert_file = own.certificate;
  mqtt_.key_file = own.key;
  EXPECT_EQ(look(url()).level, Level::Ok) << look(url()).seen;
  mqtt_.key_file = other.key;
  expect("KeyMismatch", "mqtt.key_file", "issued for");
  ASSERT_EQ(look_at_files().size(), 3u);
  EXPECT_THAT(look_at_files()[2].seen, StartsWith("KeyMismatch: "));
  mqtt_.key_file = dir_ / "away";
  expect("KeyFileUnreadable", "No such file", "in PEM");
  mqtt_.key_file = own.key;
  std::filesystem::permissions(own.key, std::filesystem::perms(0620));
  expect("KeyFileInsecure", "chmod 600 " + own.key, "change the secret");
  std::filesystem::permissions(own.key, std::filesystem::perms(0600));
  mqtt_.cert_file = own.key;
  expect("CertificateFileUnreadable", "no certificate in PEM", "in PEM");
  mqtt_.ca_file = dir_ / "away";
  expect("CaFileUnreadable", "No such file", "in PEM");
  EXPECT_THAT(look_at_files()[0].seen,
              AllOf(StartsWith("CaFileUnreadable: "), HasSubstr("No such file")));
}

TEST_F(BrokerProbe, AKeyInATokenIsNotAskedFor) {
  serve(ours_.issue("127.0.0.1"),
        {"-Verify", "1", "-CAfile", ours_.certificate(), "-verify_return_error"});
  mqtt_.cert_file = ours_.issue("pump-7").certificate;
  mqtt_.key_file = "pkcs11:token=device;object=mqtt?pin-source=file:/nowhere";
  const Finding finding = look(url());
  EXPECT_EQ(finding.level, Level::Ok) << finding.seen;
  EXPECT_THAT(finding.seen, AllOf(HasSubstr("in a token"), HasSubstr("link")));
}

TEST_F(BrokerProbe, NobodyThereAndNoTls) {
  port_ = test::free_port();
  expect("ConnectionRefused", "nothing listens", "start the broker");
  EXPECT_THAT(look("mqtt://:1").seen, StartsWith("InvalidBroker: "));
  serve(ours_.issue("127.0.0.1"));
  EXPECT_THAT(look(url("mqtt")).seen, HasSubstr("without TLS"));
}

}  // namespace
}  // namespace wherry::check
