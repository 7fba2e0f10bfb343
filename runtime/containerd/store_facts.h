#pragma once
// Where containerd keeps content and snapshots, and what its ingests hold (runtime/image/space.h).

#include <memory>

#include "runtime/containerd/client.h"
#include "runtime/image/space.h"

namespace wherry::runtime {

// The client must outlive it.
std::unique_ptr<StoreFacts> make_containerd_store_facts(Client& client);

}  // namespace wherry::runtime
