#pragma once
// The image room's view of containerd (runtime/image/backend.h).

#include <memory>

#include "base/clock.h"
#include "runtime/containerd/client.h"
#include "runtime/image/backend.h"

namespace wherry::runtime {

// Both must outlive the backend. Leases expire by the wall clock of `clock`, as containerd does.
std::unique_ptr<ImageBackend> make_containerd_backend(Client& client, const Clock& clock);

}  // namespace wherry::runtime
