#pragma once
// An event as others read it.

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "agent/store/store.h"

namespace wherry {

nlohmann::ordered_json event_json(const EventRecord& event);
// The same as one line of text.
std::string event_record(const EventRecord& event);

}  // namespace wherry
