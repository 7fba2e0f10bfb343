#pragma once
// Whether something answers at an address, and whether it is who it should be.

#include <optional>
#include <string>

#include "agent/check/certificates.h"
#include "agent/fleet/broker_url.h"
#include "base/cancel.h"
#include "base/result.h"

namespace wherry::check {

struct TlsFiles {
  std::string ca, certificate, key;  // each may be empty, as in the configuration
};

struct Reached {
  std::string address;                          // "192.0.2.7"
  std::string protocol;                         // "TLSv1.3"; empty without TLS
  std::optional<CertificateFacts> certificate;  // the other side's
};

// Connects, shakes hands where it is TLS, and hangs up: nothing is sent that the other side could
// take for a client. Errors have what to do in their reason: DnsLookupFailed, ConnectionRefused,
// Timeout, NetworkUnreachable, CertificateExpired, UnknownAuthority, WrongName, ClientRefused,
// TlsError. Blocks for `within` at most, but for a name server that does not answer.
Result<Reached> reach(const BrokerUrl& url, const TlsFiles& files, Duration within,
                      const CancelToken& cancel);

}  // namespace wherry::check
