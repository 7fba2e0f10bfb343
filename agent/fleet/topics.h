#pragma once
// The names of the MQTT topics: docs/topics.md.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/fleet/traffic.h"

namespace wherry {

// What a received topic means to this device.
struct InboundTopic {
  enum class Kind { Desired, Command } kind;
  std::string source;   // "devices/<id>" or "groups/<group>"
  std::string request;  // of a command
};

class Topics {
 public:
  Topics(std::string prefix, std::string device_id, std::vector<std::string> groups);

  std::string presence() const { return device_ + "/presence"; }
  std::string reported() const { return device_ + "/reported"; }
  std::string below(std::string_view topic) const { return device_ + "/" + std::string(topic); }
  std::string response(std::string_view request) const;
  // Filters for everything that is meant for this device: desired and commands, own and groups'.
  std::vector<std::string> subscriptions() const;
  // Nothing for a topic that is not this device's business.
  std::optional<InboundTopic> parse(std::string_view topic) const;
  TopicClass class_of(std::string_view topic) const;

 private:
  std::string root_;    // with a trailing slash, or empty
  std::string device_;  // <root>devices/<id>
  std::vector<std::string> sources_;
};

// The filter that a subscription kept by the broker must have had to let `topic` through: a
// device that left a group finds its messages in a persistent session.
std::string stale_filter(std::string_view topic);

// A topic that an answer may be published to: 1 to 65535 bytes of UTF-8 without wildcards and
// control characters (MQTT 5, 1.5.4 and 4.7), at most 200 levels, as Mosquitto takes no more, and
// not one of the broker's own, which begin with '$' (4.7.2).
bool is_response_topic(std::string_view topic);

}  // namespace wherry
