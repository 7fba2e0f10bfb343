#pragma once
// What a stream may be called. kind_of() is in outbox.h, as others ask for it, too.

#include <string_view>

namespace wherry::telemetry {

// It becomes a part of topics.
bool good_name(std::string_view name);

}  // namespace wherry::telemetry
