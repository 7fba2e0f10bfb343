#pragma once
// The small JSON documents that the link writes itself.

#include <string>

#include "base/clock.h"

namespace wherry {

// {"state":"online"|"offline","at":…,"boot":…}
std::string presence_payload(bool online, WallTime at, const std::string& boot_id);
// A Response (docs/topics.md, commands) that refuses: {"ok":false,"error":{"code":…,"message":…}}
std::string error_response(const std::string& code, const std::string& message);

}  // namespace wherry
