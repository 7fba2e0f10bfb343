#pragma once
// "Prune now", for callers on other threads.

#include "agent/reconcile/mailbox.h"
#include "base/cancel.h"

namespace wherry {

// Has the reconciler remove every image that nobody needs (Kept::Unused) and waits for it, at most
// five minutes. Errors: Unavailable while containerd is away or what is wanted is not known yet,
// Cancelled, DeadlineExceeded (it may still come to be done).
Result<runtime::PruneReport> prune_now(Mailbox& mailbox, const CancelToken& cancel);

}  // namespace wherry
