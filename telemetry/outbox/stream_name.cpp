#include "telemetry/outbox/stream_name.h"

#include <algorithm>

#include "telemetry/outbox/outbox.h"

namespace wherry::telemetry {
namespace {

constexpr size_t kMaxName = 256;

}  // namespace

bool good_name(std::string_view name) {
  return name.size() <= kMaxName && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-' || c == '/';
         });
}

std::optional<Kind> kind_of(std::string_view stream) {
  if (stream == "events") return Kind::Events;
  if (stream.starts_with("data/")) return Kind::Data;
  if (stream.starts_with("logs/")) return Kind::Logs;
  if (stream == "telemetry") return Kind::Telemetry;
  return std::nullopt;
}

}  // namespace wherry::telemetry
