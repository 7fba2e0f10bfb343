#pragma once
// Health on sockets and on programs run in containers. One thread schedules all probes and owns all
// sockets; a few more wait for programs and name servers, so that one that hangs delays no other.

#include <memory>

#include "base/clock.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

// Both must outlive it.
std::unique_ptr<Health> make_prober(Execs& execs, const Clock& clock);

}  // namespace wherry::runtime
