#include "agent/fleet/topics.h"

#include <algorithm>
#include <mosquitto.h>
#include <utility>

#include "base/text.h"

namespace wherry {
namespace {

constexpr std::string_view kDesired = "/desired";
constexpr std::string_view kCommands = "/commands/";

}  // namespace

Topics::Topics(std::string prefix, std::string device_id, std::vector<std::string> groups)
    : root_(std::move(prefix)) {
  while (!root_.empty() && root_.back() == '/') root_.pop_back();
  if (!root_.empty()) root_ += '/';
  device_ = root_ + "devices/" + device_id;
  sources_.push_back("devices/" + device_id);
  for (const std::string& group : groups) sources_.push_back("groups/" + group);
}

std::string Topics::response(std::string_view request) const {
  return device_ + "/responses/" + std::string(request);
}

std::vector<std::string> Topics::subscriptions() const {
  std::vector<std::string> filters;
  for (const std::string& source : sources_) {
    filters.push_back(root_ + source + std::string(kDesired));
    filters.push_back(root_ + source + std::string(kCommands) + "+");
  }
  return filters;
}

std::optional<InboundTopic> Topics::parse(std::string_view topic) const {
  if (!topic.starts_with(root_)) return std::nullopt;
  topic.remove_prefix(root_.size());
  const auto source = std::find_if(sources_.begin(), sources_.end(), [&](const std::string& s) {
    return topic.starts_with(s) && topic.substr(s.size()).starts_with('/');
  });
  if (source == sources_.end()) return std::nullopt;
  topic.remove_prefix(source->size());
  if (topic == kDesired) return InboundTopic{InboundTopic::Kind::Desired, *source, {}};
  if (!topic.starts_with(kCommands)) return std::nullopt;
  topic.remove_prefix(kCommands.size());
  // An empty id is one, too (MQTT 5, 4.7.1.3): a bad one, which is told to who sent it.
  if (topic.find('/') != std::string_view::npos) return std::nullopt;
  return InboundTopic{InboundTopic::Kind::Command, *source, std::string(topic)};
}

TopicClass Topics::class_of(std::string_view topic) const {
  if (const auto inbound = parse(topic)) {
    return inbound->kind == InboundTopic::Kind::Command ? TopicClass::Commands
                                                        : TopicClass::Desired;
  }
  if (!topic.starts_with(device_) || !topic.substr(device_.size()).starts_with('/')) {
    return TopicClass::Other;
  }
  topic.remove_prefix(device_.size() + 1);
  const std::string_view first = topic.substr(0, topic.find('/'));
  for (size_t i = 0; i < kTopicClasses; ++i) {
    const auto known = static_cast<TopicClass>(i);
    if (to_string(known) == first) return known;
  }
  return TopicClass::Other;
}

std::string stale_filter(std::string_view topic) {
  const size_t slash = topic.rfind('/');
  if (slash == std::string_view::npos) return std::string(topic);
  const std::string_view parent = topic.substr(0, slash);
  if (!parent.ends_with("/commands")) return std::string(topic);
  return std::string(parent) + "/+";
}

bool is_response_topic(std::string_view topic) {
  if (topic.empty() || topic.size() > 65535 || topic[0] == '$') return false;
  if (topic.find('\0') != std::string_view::npos || !is_valid_utf8(topic)) return false;
  constexpr auto kMostLevels = 200;
  if (std::count(topic.begin(), topic.end(), '/') >= kMostLevels) return false;
  // What the library refuses would otherwise end the connection.
  return mosquitto_validate_utf8(topic.data(), static_cast<int>(topic.size())) ==
             MOSQ_ERR_SUCCESS &&
         mosquitto_pub_topic_check2(topic.data(), topic.size()) == MOSQ_ERR_SUCCESS;
}

}  // namespace wherry
