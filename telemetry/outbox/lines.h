#pragma once
// Records as they are kept and sent: JSON objects, one a line. What follows is RFC 8259 as NDJSON
// narrows it: no newline inside of a record.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace wherry::telemetry {

// One or more records with a newline between them and none at the end.
struct Lines {
  std::string text;
  uint32_t count = 0;

  void add(std::string_view record);
  void join(const Lines& others);
  bool empty() const { return count == 0; }
};

// `object`, the text of a JSON object on one line, with the time in front: {"at":…, and so on.
// What the object says itself about "at" stands, and none is added.
std::string stamped(std::string_view object, WallTime at);

// A record of a producer, checked and stamped: a JSON object as it is, another JSON value as
// {"at":…,"value":…}. InvalidArgument for what is not JSON (RFC 8259), is nested deeper than 64, or
// holds a raw line break.
Result<std::string> record_from_json(std::string_view text, WallTime at);
// Bytes of any kind, as {"at":…,"base64":…} (RFC 4648 section 4).
std::string record_from_bytes(std::string_view bytes, WallTime at);

// The number of bytes that the first `count` lines take, with the newline behind the last.
size_t prefix_of(std::string_view text, uint32_t count);

}  // namespace wherry::telemetry
