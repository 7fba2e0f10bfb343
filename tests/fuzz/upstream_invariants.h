#pragma once
// What must hold for whatever workloads hand in and whatever stands in their logs.

#include <string>
#include <string_view>

namespace wherry {

// Empty where all holds, else what does not.

// `text` as the body of records, one a line: what is kept of it, and the Batch that is made of it.
std::string broken_batch(std::string_view text);

// `text` as a log's files, the oldest first, a byte 0x1e between two: read from any place on it has
// each line once, and each line makes a record. Also as a place in a log.
std::string broken_log(std::string_view text);

}  // namespace wherry
