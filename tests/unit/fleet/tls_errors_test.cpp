// Each cause has its own reason, and a sentence that says what to do.

#include "agent/fleet/tls_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace wherry {
namespace {

using ::testing::HasSubstr;

TEST(TlsErrorsTest, FaultsOfTheBrokersCertificate) {
  const WallTime now{std::chrono::seconds(1'790'000'000)};  // 2026-09-21
  CertificateFault fault;
  fault.subject = "/CN=broker";
  fault.not_before = now + std::chrono::hours(24);
  fault.not_after = now - std::chrono::hours(24);
  const std::tuple<int, const char*, const char*> cases[] = {
      {X509_V_ERR_CERT_HAS_EXPIRED, "BrokerCertificateExpired", "2026-09-20"},
      {X509_V_ERR_CERT_NOT_YET_VALID, "BrokerCertificateNotYetValid", "2026-09-22"},
      {X509_V_ERR_HOSTNAME_MISMATCH, "BrokerNameMismatch", "subjectAltName"},
      {X509_V_ERR_IP_ADDRESS_MISMATCH, "BrokerNameMismatch", "not for host"},
      {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "BrokerCertificateUntrusted", "mqtt.ca_file"},
      {X509_V_ERR_INVALID_PURPOSE, "TlsError", "purpose"}};
  for (const auto& [code, reason, said] : cases) {
    fault.code = code;
    const Error error = certificate_error(fault, "host", now);
    EXPECT_EQ(error.reason(), reason);
    EXPECT_THAT(error.full(), HasSubstr(said));
    EXPECT_THAT(error.full(), HasSubstr("/CN=broker"));
  }
  // One of the two that the message weighs is the clock here.
  fault.code = X509_V_ERR_CERT_HAS_EXPIRED;
  EXPECT_THAT(certificate_error(fault, "host", now).full(),
              HasSubstr("clock here says 2026-09-21"));
  fault.leaf = false;
  EXPECT_THAT(certificate_error(fault, "host", now).full(), HasSubstr("mqtt.ca_file"));
}

TEST(TlsErrorsTest, AlertsOfTheBroker) {
  const std::tuple<int, bool, const char*> cases[] = {
      {SSL_AD_CERTIFICATE_EXPIRED, true, "ClientCertificateExpired"},
      {SSL_AD_CERTIFICATE_REVOKED, true, "ClientCertificateRevoked"},
      {SSL_AD_UNKNOWN_CA, true, "ClientCertificateRejected"},
      {SSL_AD_BAD_CERTIFICATE, true, "ClientCertificateRejected"},
      {SSL_AD_CERTIFICATE_REQUIRED, false, "ClientCertificateRequired"},
      {SSL_AD_HANDSHAKE_FAILURE, false, "ClientCertificateRequired"},
      {SSL_AD_HANDSHAKE_FAILURE, true, "TlsError"},
      {SSL_AD_PROTOCOL_VERSION, true, "TlsVersionUnsupported"},
      {SSL_AD_NO_APPLICATION_PROTOCOL, true, "AlpnRefused"},
      {SSL_AD_INTERNAL_ERROR, true, "TlsError"}};
  for (const auto& [alert, shown, reason] : cases) {
    EXPECT_EQ(alert_error(alert, shown).reason(), reason) << alert;
  }
}

}  // namespace
}  // namespace wherry
