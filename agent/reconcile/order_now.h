#pragma once
// Orders about workloads, for callers on other threads.

#include "agent/reconcile/mailbox.h"
#include "base/cancel.h"

namespace wherry {

// Gives the order to the reconciler and waits until it is taken, at most ten seconds: then it is on
// disk and synced, and will be carried out. Errors: NotFound, FailedPrecondition (a Pod of a Job),
// ResourceExhausted (the disk), Unavailable (the agent stops), Cancelled, and DeadlineExceeded,
// where it may still come to be taken.
Status order_now(Mailbox& mailbox, Order order, const CancelToken& cancel);

}  // namespace wherry
