#pragma once
// Records to rows, and back.

#include <cstdint>

#include "telemetry/outbox/outbox.h"
#include "telemetry/outbox/queue_file.h"

namespace wherry::telemetry {

// Puts one or more blocks of `lines`. The bytes they take.
Result<int64_t> put_blocks(QueueFile& file, int64_t stream, uint64_t first, const Lines& lines);

// Adds what of `block` lies behind `after` to the chunk; false once that is enough. What was taken
// a part of is read again for the rest: a chunk that is half full ends with its last whole block.
bool add_block(Chunk& chunk, const Block& block, uint64_t after, size_t max_bytes);

}  // namespace wherry::telemetry
