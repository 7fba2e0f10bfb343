#pragma once
// All that decides what would come of another document, copied from the reconciler at one moment:
// whoever asks works on the copy, with the reconciler's own parts, and keeps nobody waiting.

#include <memory>
#include <string>

#include "agent/reconcile/controller_desk.h"
#include "agent/reconcile/document_desk.h"
#include "agent/reconcile/document_requests.h"
#include "agent/reconcile/ledger.h"
#include "agent/reconcile/order_desk.h"
#include "base/cancel.h"

namespace wherry {

struct Rehearsal {
  DocumentDesk desk;
  ControllerDesk controllers;  // one that stores nothing
  OrderDesk orders;
  Ledger ledger;  // never flushed
  MonoTime now{};
  WallTime wall{};
  bool observing = false;  // what runs is known
};

// For callers on other threads; each waits for the reconciler's answer, at most ten seconds.
// Errors: Unavailable (the agent stops), Cancelled, DeadlineExceeded.
Result<std::shared_ptr<const Rehearsal>> rehearse(Mailbox& mailbox, const CancelToken& cancel);

// Hands the document to the reconciler. Accepted: it is on disk, synced. Errors besides:
// ResourceExhausted and others of the store, with nothing changed; after DeadlineExceeded it may
// still come to be accepted.
Result<Applied> apply_now(Mailbox& mailbox, ApplyRequest request, const CancelToken& cancel);

// The accepted documents as one, see merged_document().
Result<std::string> merged_now(Mailbox& mailbox, const CancelToken& cancel);

}  // namespace wherry
