#include "agent/fleet/traffic.h"

namespace wherry {

std::string_view to_string(TopicClass topic) {
  constexpr std::array<std::string_view, kTopicClasses> kNames{
      "desired", "commands",  "presence", "reported", "responses",
      "events",  "telemetry", "logs",     "data",     "other"};
  return kNames.at(static_cast<size_t>(topic));
}

void Traffic::add(Slots& slots, TopicClass topic, size_t bytes) {
  Slot& slot = slots.at(static_cast<size_t>(topic));
  slot.messages.fetch_add(1, std::memory_order_relaxed);
  slot.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

Traffic::Count Traffic::read(const Slots& slots, TopicClass topic) {
  const Slot& slot = slots.at(static_cast<size_t>(topic));
  return {slot.messages.load(std::memory_order_relaxed),
          slot.bytes.load(std::memory_order_relaxed)};
}

uint64_t Traffic::sum(const Slots& slots) {
  uint64_t bytes = 0;
  for (const Slot& slot : slots) bytes += slot.bytes.load(std::memory_order_relaxed);
  return bytes;
}

}  // namespace wherry
