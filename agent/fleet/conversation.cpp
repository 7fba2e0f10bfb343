#include "agent/fleet/conversation.h"

#include <algorithm>
#include <utility>

#include "agent/fleet/mqtt_errors.h"
#include "agent/fleet/payloads.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

// A topic longer than that cannot be published to (MQTT 5, 1.5.4).
constexpr size_t kLongestTopic = 65535;
constexpr int kSubscription = 0;  // no message has this id (MQTT 5, 2.2.1)

}  // namespace

Conversation::Conversation(MqttSession& session, const Topics& topics, std::string boot_id,
                           const Clock& clock, ConversationHooks hooks, Duration refused_retry,
                           Duration answer_timeout)
    : session_(session),
      topics_(topics),
      boot_id_(std::move(boot_id)),
      clock_(clock),
      hooks_(std::move(hooks)),
      refused_retry_(refused_retry),
      answer_timeout_(answer_timeout),
      filters_(topics.subscriptions()) {}

Status Conversation::advance() {
  for (SessionEvent& event : session_.take_events()) {
    Status handled = std::visit([this](auto& e) { return handle(e); }, event);
    if (!handled) return handled;
  }
  if (!connected_ || goodbye_) return {};
  if (Status answered = check_answers(); !answered) return answered;
  if (presence_.refused && !presence_.in_flight && is_due(presence_)) {
    const Result<int> id = publish_presence(true);
    if (!id) return fail(id.error());
    presence_.in_flight = *id;
  }
  if (const auto reported = is_due(reported_) ? hooks_.take_reported() : std::nullopt) {
    const Result<int> id = publish(topics_.reported(), *reported, true);
    if (!id && id.error().reason() == kMessageTooLarge) {
      // Nor is it one here: the next state may be smaller, and all else goes on.
      log_error("the reported state is not sent: the broker takes no message of this size",
                {{"bytes", std::to_string(reported->size())}});
      hooks_.reported_acknowledged(true);
    } else if (!id) {
      return fail(id.error());
    } else {
      reported_.in_flight = *id;
    }
  }
  if (Status sent = send_answers(); !sent) return sent;
  while (std::optional<OutboundMessage> message = hooks_.take_message()) {
    const std::string topic = topics_.below(message->topic);
    const Result<int> id =
        publish(topic, message->payload, false, {.content_type = message->content_type});
    if (!id && id.error().reason() == kMessageTooLarge) {
      // The broker takes smaller ones: no reason to lose the connection.
      hooks_.message_acknowledged(message->ticket, false);
      continue;
    }
    if (!id) return fail(id.error());
    messages_.emplace(*id, message->ticket);
  }
  return {};
}

Status Conversation::say_goodbye() {
  const Result<int> id = publish_presence(false);
  if (!id) return fail(id.error());
  goodbye_ = *id;
  return {};
}

Result<int> Conversation::publish(const std::string& topic, const std::string& payload, bool retain,
                                  const PublishProperties& properties) {
  const Result<int> id = session_.publish(topic, payload, retain, properties);
  if (id) unanswered_[*id] = {topic, clock_.now()};
  return id;
}

Result<int> Conversation::publish_presence(bool online) {
  return publish(topics_.presence(), presence_payload(online, clock_.wall(), boot_id_), true);
}

const Conversation::Unanswered* Conversation::oldest_unanswered() const {
  const auto oldest = std::min_element(
      unanswered_.begin(), unanswered_.end(),
      [](const auto& one, const auto& other) { return one.second.since < other.second.since; });
  return oldest == unanswered_.end() ? nullptr : &oldest->second;
}

std::optional<MonoTime> Conversation::answer_due() const {
  const Unanswered* oldest = oldest_unanswered();
  return oldest == nullptr ? std::nullopt : std::optional(oldest->since + answer_timeout_);
}

Status Conversation::check_answers() const {
  const auto due = answer_due();
  if (!due || clock_.now() < *due) return {};
  return fail(Code::DeadlineExceeded,
              "the broker has not acknowledged " + oldest_unanswered()->topic + " within " +
                  format_duration(answer_timeout_) +
                  "; what it left unanswered is sent again on the next connection",
              kUnanswered);
}

Status Conversation::handle(const SessionConnected& event) {
  connected_ = true;
  const Result<int> id = publish_presence(true);
  if (!id) return fail(id.error());
  presence_.in_flight = *id;
  if (Status subscribed = session_.subscribe(filters_); !subscribed) return subscribed;
  unanswered_[kSubscription] = {"the subscription to " + join(filters_, ", "), clock_.now()};
  hooks_.connected(event.session_present);
  return {};
}

Status Conversation::handle(const SessionSubscribed& event) {
  unanswered_.erase(kSubscription);
  if (event.refused.empty()) return {};
  std::vector<std::string> refused;
  for (const size_t place : event.refused) {
    if (place < filters_.size()) refused.push_back(filters_[place]);
  }
  hooks_.subscription_refused(refused);
  return {};
}

Status Conversation::handle(const SessionPublished& event) {
  const bool accepted = event.accepted.has_value();
  const auto sent = unanswered_.extract(event.id);
  const auto answer = answers_.extract(event.id);
  const auto message = messages_.extract(event.id);
  if (!accepted) {
    log_warn("the broker refuses a message", {{"topic", sent ? sent.mapped().topic : ""},
                                              {"reason", event.accepted.error().message()}});
  }
  if (presence_.in_flight == event.id) published(presence_, topics_.presence(), accepted);
  if (reported_.in_flight == event.id) {
    hooks_.reported_acknowledged(accepted);
    published(reported_, topics_.reported(), accepted);
  }
  if (goodbye_ == event.id) goodbye_acknowledged_ = true;
  if (answer) hooks_.answer_acknowledged(answer.mapped(), accepted);
  if (message) hooks_.message_acknowledged(message.mapped(), accepted);
  return {};
}

void Conversation::published(Retained& kept, const std::string& topic, bool accepted) {
  kept.in_flight.reset();
  if (!accepted) {
    if (!again_at()) hooks_.publish_refused(topic);  // one of them is reason enough
    kept.refused = true;
    again_at_ = clock_.now() + refused_retry_;
  } else if (std::exchange(kept.refused, false) && !again_at()) {
    hooks_.publish_accepted();
  }
}

bool Conversation::is_due(const Retained& kept) const {
  return !kept.refused || clock_.now() >= again_at_;
}

Status Conversation::handle(SessionMessage& event) {
  const std::optional<InboundTopic> topic = topics_.parse(event.topic);
  if (!topic) {
    // A persistent session may still subscribe to a group that this device has left.
    log_warn("message on a topic that is not this device's", {{"topic", event.topic}});
    const std::string filter = stale_filter(event.topic);
    const bool own = std::find(filters_.begin(), filters_.end(), filter) != filters_.end();
    return own ? Status() : session_.unsubscribe(filter);
  }
  if (topic->kind == InboundTopic::Kind::Command) {
    hand_over(*topic, event);
    return {};
  }
  hooks_.desired({topic->source, std::move(event.payload)});
  return {};
}

void Conversation::hand_over(const InboundTopic& topic, SessionMessage& command) {
  const bool named = is_response_topic(command.response_topic);
  if (!named && topics_.response(topic.request).size() > kLongestTopic) {
    return log_warn("a command whose answer can have no topic is dropped");
  }
  hooks_.command({topic.source, topic.request, std::move(command.payload),
                  named ? std::move(command.response_topic) : std::string(),
                  std::move(command.correlation), command.retained});
}

Status Conversation::send_answers() {
  while (const auto next = hooks_.take_answer()) {
    const auto& [number, answer] = *next;
    const std::string topic =
        answer.response_topic.empty() ? topics_.response(answer.request) : answer.response_topic;
    Result<int> id = publish(topic, answer.payload, false, {.correlation = answer.correlation});
    if (!id && id.error().reason() == kMessageTooLarge) {
      id = publish(topic, error_response("ResourceExhausted", id.error().message()), false,
                   {.correlation = answer.correlation});
    }
    if (!id && id.error().reason() == kMessageTooLarge) {
      // With a topic and a correlation that long it can have no answer; all else goes on.
      log_error("a command has no answer: the broker takes no message of this size",
                {{"request", answer.request}});
      hooks_.answer_acknowledged(number, false);
      continue;
    }
    if (!id) return fail(id.error());
    answers_.emplace(*id, number);
  }
  return {};
}

}  // namespace wherry
