#pragma once
// Why TLS with a broker failed: one reason for each cause, and a sentence with what to do.

#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace wherry {

// What is wrong with the broker's certificate, or that of an authority above it.
struct CertificateFault {
  int code = 0;         // X509_V_ERR_… of openssl/x509_vfy.h
  bool leaf = true;     // the broker's own
  std::string subject;  // of the certificate at fault, or the one that lacks an issuer
  WallTime not_before{}, not_after{};
};
// Reasons: BrokerCertificateExpired, BrokerCertificateNotYetValid, BrokerCertificateUntrusted,
// BrokerNameMismatch, else TlsError. `host` is the one of the URL, `now` what this device thinks.
Error certificate_error(const CertificateFault& fault, const std::string& host, WallTime now);

// An alert that the broker sent (RFC 8446, section 6). `shown`: this device has a certificate.
// Reasons: ClientCertificateExpired, ClientCertificateRevoked, ClientCertificateRejected,
// ClientCertificateRequired, TlsVersionUnsupported, AlpnRefused, else TlsError.
Error alert_error(int alert, bool shown);

Error tls_error(const std::string& detail);

}  // namespace wherry
