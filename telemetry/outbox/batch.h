#pragma once
// A Batch, as it goes upstream (docs/topics.md).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "telemetry/outbox/outbox.h"

namespace wherry::telemetry {

// {"stream":…,"epoch":…,"first":…,"records":[…],"dropped":{…}}
std::string batch_json(std::string_view stream, std::string_view epoch, const Chunk& chunk);

// A Zstandard frame (RFC 8878), or nothing where it would not save a tenth.
std::optional<std::string> compressed(std::string_view bytes);

inline constexpr const char* kJsonType = "application/json";
// RFC 8878, 7.1, registers the suffix.
inline constexpr const char* kZstdJsonType = "application/json+zstd";

}  // namespace wherry::telemetry
