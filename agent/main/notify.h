#pragma once
// The service manager's notification socket, sd_notify(3): one datagram a message. A few lines of
// our own instead of a library that would stay in memory.

#include <string_view>

#include "base/clock.h"

namespace wherry {

// "READY=1", "STOPPING=1", "WATCHDOG=1". Does nothing where no manager listens.
void notify_manager(std::string_view message);
// How often the manager wants a WATCHDOG=1; zero where it wants none.
Duration watchdog_interval();

}  // namespace wherry
