#include "agent/fleet/tls_errors.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/text.h"

namespace wherry {
namespace {

Error refused(const char* reason, std::string message) {
  return {Code::PermissionDenied, std::move(message), reason};
}

}  // namespace

Error tls_error(const std::string& detail) {
  return {Code::Unavailable,
          "TLS with the broker failed" + (detail.empty() ? "" : ": " + detail) +
              "; check the broker's address, mqtt.ca_file, cert_file and key_file",
          "TlsError"};
}

Error certificate_error(const CertificateFault& fault, const std::string& host, WallTime now) {
  const std::string subject = printable(fault.subject);
  const std::string which = fault.leaf ? "the broker's certificate (" + subject + ")"
                                       : "the certificate of an authority, " + subject + ",";
  // The day will do, and lets one message be one message.
  const std::string clock = "; the clock here says " + to_rfc3339(now).substr(0, 10);
  switch (fault.code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return refused("BrokerCertificateExpired",
                     which + " has expired at " + to_rfc3339(fault.not_after) + clock +
                         (fault.leaf ? ": renew it at the broker, or set the clock"
                                     : ": renew it, also in mqtt.ca_file, or set the clock"));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return refused("BrokerCertificateNotYetValid", which + " is valid from " +
                                                         to_rfc3339(fault.not_before) + clock +
                                                         ": set the clock (NTP)");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return refused("BrokerNameMismatch",
                     which + " is not for " + host +
                         ": mqtt.brokers must have a name or address that stands in the "
                         "certificate's subjectAltName");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return refused("BrokerCertificateUntrusted",
                     which +
                         " is signed by nobody that this device trusts: put the authority's "
                         "certificate into mqtt.ca_file; where the broker is not yours, it may "
                         "be another one");
    default:
      return refused("TlsError",
                     which + " is not accepted: " + X509_verify_cert_error_string(fault.code));
  }
}

Error alert_error(int alert, bool shown) {
  const char* const mine = "; renew mqtt.cert_file, or look at the broker's authorities and clock";
  switch (alert) {
    case SSL_AD_CERTIFICATE_EXPIRED:
      return refused("ClientCertificateExpired",
                     "the broker says that this device's certificate has expired: renew "
                     "mqtt.cert_file, or set the broker's clock");
    case SSL_AD_CERTIFICATE_REVOKED:
      return refused("ClientCertificateRevoked",
                     "this device's certificate was withdrawn: it needs another one in "
                     "mqtt.cert_file");
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_ACCESS_DENIED:
      return refused("ClientCertificateRejected",
                     std::string("the broker does not accept this device's certificate (") +
                         SSL_alert_desc_string_long(alert) + ")" + mine);
    case SSL_AD_CERTIFICATE_REQUIRED:
      return refused("ClientCertificateRequired",
                     "the broker wants a certificate of this device: set mqtt.cert_file and "
                     "mqtt.key_file");
    case SSL_AD_HANDSHAKE_FAILURE:
      // What TLS 1.2 says where a certificate is missing, and of much else.
      if (shown) break;
      return refused("ClientCertificateRequired",
                     "the broker refuses the handshake, as those do that want a certificate: set "
                     "mqtt.cert_file and mqtt.key_file");
    case SSL_AD_PROTOCOL_VERSION:
      return refused("TlsVersionUnsupported", "the broker does not speak TLS 1.2 or newer: let it");
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return refused("AlpnRefused", "the broker does not take the protocol in mqtt.alpn");
    default:
      break;
  }
  return tls_error(std::string("the broker says \"") + SSL_alert_desc_string_long(alert) + "\"");
}

}  // namespace wherry
