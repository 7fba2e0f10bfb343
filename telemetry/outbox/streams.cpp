#include "telemetry/outbox/streams.h"

#include <algorithm>
#include <set>
#include <utility>

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

int64_t free_id(const Streams& streams, int64_t last) {
  if (last < kLastStream) return last + 1;
  std::set<int64_t> taken;
  for (const auto& [name, stream] : streams) taken.insert(stream.row.id);
  int64_t id = 1;
  while (taken.contains(id)) ++id;
  return id;
}

std::vector<StreamState> states_of(const Streams& streams) {
  std::vector<const Stream*> order;
  for (const auto& [name, stream] : streams) order.push_back(&stream);
  std::sort(order.begin(), order.end(), [](const Stream* a, const Stream* b) {
    return std::pair(a->kind, a->row.id) < std::pair(b->kind, b->row.id);
  });
  std::vector<StreamState> states;
  states.reserve(order.size());
  for (const Stream* s : order) {
    states.push_back(
        {s->row.name, s->row.epoch, s->row.acked, s->row.next, s->records, s->bytes, s->dropped});
  }
  return states;
}

}  // namespace wherry::telemetry
