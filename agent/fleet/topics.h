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
  std::string root_;    // with a trailing slash
  std::string device_;  // <root>devices/<id>
  std::vector<std::string> sources_;
};

// The filter that a subscription kept by the broker must have had to let `topic` through: a
// device that left a group finds its messages in a persistent session.
std::string stale_filter(std::string_view topic);

// A topic to publish to: 1 to 65535 bytes of UTF-8 without wildcards or NUL (MQTT 5, 4.7).
bool is_topic_name(std::string_view topic);

}  // namespace wherry
