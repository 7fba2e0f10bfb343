#pragma once
// The streams as the outbox has them in memory.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

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

using Streams = std::map<std::string, Stream>;  // by name

// A name becomes a part of topics.
bool good_name(std::string_view name);
// An id for another stream: the one after `last`, which is the highest there has been, and after
// years of streams that come and go the lowest that nobody has.
int64_t free_id(const Streams& streams, int64_t last);
std::vector<StreamState> states_of(const Streams& streams);  // by importance

}  // namespace wherry::telemetry
