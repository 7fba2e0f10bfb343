#include "agent/reconcile/event_json.h"

#include <nlohmann/json.hpp>

namespace wherry {

nlohmann::ordered_json event_json(const EventRecord& event) {
  return {{"number", event.number},     {"at", to_rfc3339(event.at)},
          {"workload", event.workload}, {"container", event.container},
          {"type", event.type},         {"reason", event.reason},
          {"message", event.message},   {"revision", event.revision}};
}

std::string event_record(const EventRecord& event) {
  // What is not UTF-8 in a message would otherwise keep the whole event from being told.
  return event_json(event).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace wherry
