#pragma once
// Whether a broker answers, and is who it should be: by the link's own code, up to where MQTT would
// begin.

#include <optional>
#include <string>

#include "agent/fleet/broker_url.h"
#include "agent/fleet/tls_stream.h"
#include "base/cancel.h"
#include "base/result.h"

namespace wherry::check {

struct Reached {
  std::string address;          // "192.0.2.7"
  std::optional<TlsPeer> peer;  // nothing without TLS
};

// Connects, shakes hands, opens the WebSocket, and hangs up: nothing is sent that the broker could
// take for a client. Reasons of errors: those of the link (docs/troubleshooting.md). Blocks for
// `within` at most, but for a name server that does not answer.
Result<Reached> reach(const BrokerUrl& url, const TlsOptions& options, Duration within,
                      const CancelToken& cancel);

}  // namespace wherry::check
