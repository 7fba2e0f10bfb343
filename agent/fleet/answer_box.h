#pragma once
// Answers to commands until a broker acknowledges them, across connections.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "agent/fleet/fleet_link.h"

namespace wherry {

// Not thread-safe.
class AnswerBox {
 public:
  static constexpr size_t kMost = 64;
  static constexpr size_t kMostBytes = size_t{4} << 20;  // a single larger one still fits
  static constexpr size_t kMostInFlight = 16;
  static constexpr int kMostLosses = 3;

  // False where it is full.
  bool put(CommandAnswer answer) {
    const size_t size = size_of(answer);
    if (held_.size() >= kMost || (!held_.empty() && bytes_ + size > kMostBytes)) return false;
    bytes_ += size;
    held_.emplace(++last_, Held{std::move(answer)});
    return true;
  }
  // The next to send, in flight from here on, with the number to tell of it by.
  std::optional<std::pair<uint64_t, CommandAnswer>> take() {
    if (in_flight_ >= kMostInFlight) return std::nullopt;
    for (auto& [number, held] : held_) {
      if (held.in_flight) continue;
      held.in_flight = true;
      ++in_flight_;
      return std::pair(number, held.answer);
    }
    return std::nullopt;
  }
  // Its ticket; nothing where the number is not known.
  std::optional<uint64_t> acknowledged(uint64_t number) {
    const auto held = held_.find(number);
    if (held == held_.end()) return std::nullopt;
    const uint64_t ticket = held->second.answer.ticket;
    bytes_ -= size_of(held->second.answer);
    in_flight_ -= held->second.in_flight ? 1 : 0;
    held_.erase(held);
    return ticket;
  }
  // The broker does not take it. One that was asked for on another topic is sent again, on the
  // device's own; else it is over, and its ticket is returned.
  std::optional<uint64_t> refused(uint64_t number) {
    const auto held = held_.find(number);
    if (held == held_.end() || held->second.answer.response_topic.empty()) {
      return acknowledged(number);
    }
    held->second.answer.response_topic.clear();
    in_flight_ -= held->second.in_flight ? 1 : 0;
    held->second.in_flight = false;
    return std::nullopt;
  }
  // What was in flight may not have arrived: it is sent again, in the same order. A broker may hang
  // up because of the topic that was asked for: in the end the device's own is taken.
  void connection_lost() {
    for (auto& [number, held] : held_) {
      if (held.in_flight && ++held.losses >= kMostLosses) held.answer.response_topic.clear();
      held.in_flight = false;
    }
    in_flight_ = 0;
  }
  bool idle() const { return held_.empty(); }

 private:
  struct Held {
    CommandAnswer answer;
    bool in_flight = false;
    int losses = 0;  // connections that ended meanwhile
  };
  static size_t size_of(const CommandAnswer& answer) {
    return answer.payload.size() + answer.correlation.size();
  }

  std::map<uint64_t, Held> held_;
  uint64_t last_ = 0;
  size_t bytes_ = 0, in_flight_ = 0;
};

}  // namespace wherry
