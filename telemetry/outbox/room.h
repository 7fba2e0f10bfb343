#pragma once
// What goes: because it has arrived, or because a queue is full.

#include <cstdint>

#include "telemetry/outbox/outbox.h"
#include "telemetry/outbox/queue_file.h"
#include "telemetry/outbox/streams.h"

namespace wherry::telemetry {

// What all streams of a kind may take together.
int64_t share_of(Kind kind, const OutboxOptions& options);

// Frees about `excess` bytes of the stream's oldest records, and a little of `share` more, so that
// not every record touches both ends of the queue. Telemetry is thinned as long as that helps. What
// came last stays. `stream` is changed to what it is then. One transaction.
Status free_room(QueueFile& file, Stream& stream, int64_t excess, int64_t share);

// Those up to number `last`. `stream` is changed likewise. A part of a transaction.
Status remove_acknowledged(QueueFile& file, Stream& stream, uint64_t last);

}  // namespace wherry::telemetry
