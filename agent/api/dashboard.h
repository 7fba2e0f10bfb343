#pragma once
// The dashboard's own files (agent/api/dashboard/), as they were built in. They are the same on
// every device and hold nothing of it: what the page shows it asks for, with the token.

#include <string>
#include <vector>

#include "agent/api/http_exchange.h"

namespace wherry {

// True where `path` (decoded segments) is one of them.
bool is_dashboard_file(const std::vector<std::string>& path);

// The file at the request's path, which is one: 200, or 304 to who has it already.
void answer_dashboard(http::Exchange& exchange);

}  // namespace wherry
