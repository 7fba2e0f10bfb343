#pragma once
// What containers say may hold what they were given to keep.

#include "agent/manifest/scrubber.h"
#include "agent/reconcile/mailbox.h"

namespace wherry {

// From the last words of containers, from what probes and hooks answered, and from why something
// could not be started.
void strike_out(const Scrubber& secrets, Mail& mail);

}  // namespace wherry
