#pragma once
// What a connection to one broker is made of.

#include <string>

#include "agent/fleet/fleet_link.h"
#include "agent/fleet/mqtt_session.h"
#include "agent/fleet/topics.h"

namespace wherry {

TlsOptions tls_options(const FleetOptions& options);
// Reads the password file each time, so that a new password needs no restart. `options` and
// `topics` must outlive the session; `now` goes into the will. Reasons of errors: InvalidBroker,
// PasswordFileUnreadable, PasswordFileInsecure.
Result<SessionOptions> session_options(const FleetOptions& options, const Topics& topics,
                                       const std::string& broker, WallTime now);

}  // namespace wherry
