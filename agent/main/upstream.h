#pragma once
// What goes upstream, wired to what it comes from and to the link.

#include <memory>

#include "agent/api/data_server.h"
#include "agent/config/config.h"
#include "agent/fleet/fleet_link.h"
#include "agent/forward/log_forwarder.h"
#include "agent/reconcile/mailbox.h"
#include "agent/reconcile/state_view.h"
#include "agent/store/store.h"
#include "telemetry/telemetry.h"

namespace wherry {

// Where the outbox cannot be opened an event says so, and it is tried again: workloads do not
// depend on it. `link` is read when there is something to send. All references must outlive it.
std::unique_ptr<telemetry::Telemetry> open_upstream(const Config& config, const Clock& clock,
                                                    Store& store, Mailbox& mailbox,
                                                    const std::unique_ptr<FleetLink>& link);

// Of the logs below the state directory.
std::unique_ptr<LogForwarder> make_log_forwarder(const Config& config, const Clock& clock,
                                                 telemetry::Telemetry& upstream);
// Tells it what there is and what goes up of it.
void show_to(LogForwarder& forwarder, const Config& config, const StateView& view);

std::unique_ptr<DataServer> make_data_server(const Config& config, const std::string& boot,
                                             const Clock& clock, telemetry::Telemetry& upstream);

// Tells `upstream` of the link's connections.
void tell_upstream(FleetHandlers& handlers, telemetry::Telemetry& upstream, bool content_types);

}  // namespace wherry
