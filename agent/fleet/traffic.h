#pragma once
// What went over the link, by class of topic.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wherry {

enum class TopicClass : uint8_t {
  Desired,
  Commands,
  Presence,
  Reported,
  Responses,
  Events,
  Telemetry,
  Logs,
  Data,
  Other,  // not this device's, such as those of a group it has left
};
inline constexpr size_t kTopicClasses = 10;
std::string_view to_string(TopicClass topic);  // "desired", …

// Counts since it was made; topics and payloads, without what MQTT, TLS and TCP add. Thread-safe.
class Traffic {
 public:
  struct Count {
    uint64_t messages = 0, bytes = 0;
  };
  void count_sent(TopicClass topic, size_t bytes) { add(sent_, topic, bytes); }
  void count_received(TopicClass topic, size_t bytes) { add(received_, topic, bytes); }
  Count sent(TopicClass topic) const { return read(sent_, topic); }
  Count received(TopicClass topic) const { return read(received_, topic); }
  uint64_t sent_bytes() const { return sum(sent_); }
  uint64_t received_bytes() const { return sum(received_); }

 private:
  struct Slot {
    std::atomic<uint64_t> messages{0}, bytes{0};
  };
  using Slots = std::array<Slot, kTopicClasses>;
  static void add(Slots& slots, TopicClass topic, size_t bytes);
  static Count read(const Slots& slots, TopicClass topic);
  static uint64_t sum(const Slots& slots);

  Slots sent_, received_;
};

}  // namespace wherry
