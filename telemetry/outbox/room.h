#pragma once
// What goes when a queue is full.

#include <cstdint>
#include <string>

#include "telemetry/outbox/outbox.h"
#include "telemetry/outbox/queue_file.h"

namespace wherry::telemetry {

struct Stream {
  StreamRow row;
  Kind kind;
  uint64_t records = 0;
  int64_t bytes = 0;
  uint64_t sent = 0;     // up to here records may have arrived
  uint64_t thinned = 0;  // where thinning goes on
  uint64_t dropped = 0;  // since the start
};

// What all streams of a kind may take together.
int64_t share_of(Kind kind, const OutboxOptions& options);

// Frees about `excess` bytes of the stream's oldest records, and a little of `share` more, so that
// not every record touches both ends of the queue. Telemetry is thinned as long as that helps. What
// came last stays. `stream` is changed to what it is then. One transaction.
Status free_room(QueueFile& file, Stream& stream, int64_t excess, int64_t share);

}  // namespace wherry::telemetry
