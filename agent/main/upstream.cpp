#include "agent/main/upstream.h"

#include <utility>

#include "agent/reconcile/event_json.h"
#include "base/log.h"
#include "telemetry/stream/cache.h"

namespace wherry {
namespace {

telemetry::Source event_source(Store& store) {
  telemetry::Source source;
  source.stream = "events";
  source.last = [&store] { return store.last_event(); };
  source.read = [&store](int64_t after,
                         size_t limit) -> Result<std::vector<telemetry::Source::Record>> {
    const auto events = store.events(after, limit);
    if (!events) return fail(events.error());
    std::vector<telemetry::Source::Record> records;
    records.reserve(events->size());
    for (const EventRecord& event : *events) {
      records.push_back({event.number, event_record(event)});
    }
    return records;
  };
  return source;
}

void note(Mailbox& mailbox, const char* reason, std::string message) {
  EventRecord event;
  event.type = "Warning";
  event.reason = reason;
  event.message = std::move(message);
  log_error(event.message);
  mailbox.post([&](Mail& mail) { mail.notes.push_back(std::move(event)); });
}

}  // namespace

std::unique_ptr<telemetry::Telemetry> open_upstream(const Config& config, const Clock& clock,
                                                    Store& store, Mailbox& mailbox,
                                                    const std::unique_ptr<FleetLink>& link) {
  telemetry::TelemetryOptions options;
  options.outbox.path = config.storage.state_dir + "/outbox.db";
  options.outbox.max_bytes = config.telemetry.outbox_max_bytes;
  options.outbox.max_log_bytes = config.telemetry.logs_max_bytes;
  telemetry::TelemetryHooks hooks;
  hooks.send = [&link](telemetry::Outgoing out) {
    link->publish({out.session, out.ticket, std::move(out.stream), std::move(out.payload),
                   std::move(out.content_type)});
  };
  hooks.set_aside = [&mailbox](const std::string& path, const std::string& damage) {
    note(mailbox, "OutboxDamaged",
         "the outbox was damaged (" + damage + ") and set aside as " + path +
             "; what was waiting in it is not sent");
  };
  auto opened = telemetry::Telemetry::open(options, clock, std::move(hooks), event_source(store));
  if (const Status good = opened->trouble(); !good) {
    note(mailbox, "OutboxUnavailable",
         "nothing goes upstream, and no records of workloads are taken, until there is an outbox; "
         "that is tried again every few seconds: " +
             good.error().full());
  }
  return opened;
}

std::unique_ptr<LogForwarder> make_log_forwarder(const Config& config, const Clock& clock,
                                                 telemetry::Telemetry& upstream) {
  LogForwarderOptions options;
  options.log_dir = config.storage.state_dir + "/logs";
  options.otherwise = log_forward_of(config.telemetry.logs_forward).value_or(LogForward::None);
  options.limits.rate = config.telemetry.logs_rate;
  return std::make_unique<LogForwarder>(std::move(options), upstream, clock);
}

void show_to(LogForwarder& forwarder, const Config& config, const StateView& view) {
  const LogForward otherwise =
      log_forward_of(config.telemetry.logs_forward).value_or(LogForward::None);
  LogForwarder::Modes modes;
  for (const WorkloadView& workload : view.workloads) {
    auto& mode = modes[workload.name];
    if (!workload.leaving) mode = workload.log_forward.value_or(otherwise);
  }
  forwarder.set(modes, view.first_pass_done);
}

std::unique_ptr<DataServer> make_data_server(const Config& config, const std::string& boot,
                                             const Clock& clock, telemetry::Telemetry& upstream) {
  telemetry::CacheOptions cache;
  cache.path = config.storage.state_dir + "/cache.db";
  cache.boot = boot;
  return std::make_unique<DataServer>(upstream, cache, clock);
}

void tell_upstream(FleetHandlers& handlers, telemetry::Telemetry& upstream, bool content_types) {
  handlers.on_session = [&upstream, content_types](uint64_t session, SessionChange change) {
    if (change == SessionChange::Begun) return upstream.connected(session, content_types);
    upstream.disconnected(change == SessionChange::HungUp);
  };
  handlers.on_acknowledged = [&upstream](uint64_t ticket, bool accepted) {
    upstream.acknowledged(ticket, accepted);
  };
}

}  // namespace wherry
