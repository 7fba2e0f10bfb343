// mqtts: a private authority, and what happens without it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/fleet/link_fixture.h"
#include "tests/integration/fleet/raw_server.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

// An authority `name`.pem with its key, and a certificate for 127.0.0.1 signed by it.
void make_authority(const TempDir& dir, const std::string& name) {
  run_ok({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
          "-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout", dir / (name + ".key"), "-out",
          dir / (name + ".pem")});
}

void make_server_certificate(const TempDir& dir, const std::string& authority) {
  write_text(dir / "server.ext", "subjectAltName=IP:127.0.0.1\n");
  run_ok({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
          "-subj", "/CN=server", "-keyout", dir / "server.key", "-out", dir / "server.csr"});
  run_ok({"openssl", "x509", "-req", "-in", dir / "server.csr", "-CA", dir / (authority + ".pem"),
          "-CAkey", dir / (authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile",
          dir / "server.ext", "-out", dir / "server.pem"});
}

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    make_authority(dir_, "ours");
    make_authority(dir_, "foreign");
    make_server_certificate(dir_, "ours");
    tls_port_ = free_port();
    broker_ = std::make_unique<MosquittoBroker>(MosquittoOptions{
        .extra_config = "listener " + std::to_string(tls_port_) + " 127.0.0.1\ncertfile " +
                        (dir_ / "server.pem") + "\nkeyfile " + (dir_ / "server.key") + "\n"});
  }
  FleetOptions options(const std::string& ca) const {
    FleetOptions options = link_options({"mqtts://127.0.0.1:" + std::to_string(tls_port_)});
    options.ca_file = ca;
    return options;
  }

  TempDir dir_;
  int tls_port_ = 0;
  std::unique_ptr<MosquittoBroker> broker_;
};

TEST_F(TlsTest, ConnectsWithTheAuthoritysCertificate) {
  TestLink link(options(dir_ / "ours.pem"));
  EXPECT_TRUE(link.wait_connected()) << link->status().message;
  link->publish_reported(std::string(1u << 20, 'x'));
  link->stop(std::chrono::seconds(20));
  EXPECT_THAT(broker_->log(), ::testing::HasSubstr("1048576 bytes"));
}

TEST_F(TlsTest, ShowsItsOwnCertificateWhereTheBrokerAsksForOne) {
  const int port = free_port();
  const MosquittoBroker strict({.extra_config = "listener " + std::to_string(port) +
                                                " 127.0.0.1\nrequire_certificate true\ncafile " +
                                                (dir_ / "ours.pem") + "\ncertfile " +
                                                (dir_ / "server.pem") + "\nkeyfile " +
                                                (dir_ / "server.key") + "\n"});
  FleetOptions with_certificate = options(dir_ / "ours.pem");
  with_certificate.brokers = {"mqtts://127.0.0.1:" + std::to_string(port)};
  {
    TestLink without(with_certificate);
    EXPECT_TRUE(wait_until([&] { return without.statuses().size() > 0; }));
    EXPECT_FALSE(without->status().connected);
  }
  with_certificate.cert_file = dir_ / "server.pem";
  with_certificate.key_file = dir_ / "server.key";
  TestLink link(with_certificate);
  EXPECT_TRUE(link.wait_connected()) << link->status().message;
}

TEST_F(TlsTest, ForeignAuthorityIsATlsError) {
  for (const std::string& ca : {dir_ / "foreign.pem", std::string()}) {
    TestLink link(options(ca));
    EXPECT_TRUE(link.wait_reason("TlsError"));
    EXPECT_THAT(link->status().message, ::testing::HasSubstr("certificate"));
  }
}

TEST_F(TlsTest, UnreadableFilesAreATlsError) {
  TestLink link(options("/no/such/file"));
  EXPECT_TRUE(link.wait_reason("TlsError"));
  EXPECT_THAT(link->status().message, ::testing::HasSubstr("mqtt.ca_file"));
}

TEST_F(TlsTest, PlainServerBehindMqttsIsATlsError) {
  for (const bool hang_up : {true, false}) {
    RawServer server(hang_up ? "" : "\x20\x02\x01\x05 no TLS here", hang_up);
    FleetOptions with_ca = options(dir_ / "ours.pem");
    with_ca.brokers = {server.url("mqtts")};
    TestLink link(with_ca);
    EXPECT_TRUE(link.wait_reason("TlsError")) << link->status().reason;
  }
}

}  // namespace
}  // namespace wherry::test
