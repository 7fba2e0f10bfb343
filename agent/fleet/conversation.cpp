#include "agent/fleet/conversation.h"

#include <utility>

#include "agent/fleet/payloads.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

// Answers that the broker has not acknowledged; further commands go unanswered meanwhile.
constexpr size_t kMaxAnswersInFlight = 32;

}  // namespace

Conversation::Conversation(MqttSession& session, const Topics& topics, std::string boot_id,
                           const Clock& clock, ConversationHooks hooks)
    : session_(session),
      topics_(topics),
      boot_id_(std::move(boot_id)),
      clock_(clock),
      hooks_(std::move(hooks)),
      filters_(topics.subscriptions()) {}

Status Conversation::advance() {
  for (SessionEvent& event : session_.take_events()) {
    Status handled = std::visit([this](auto& e) { return handle(e); }, event);
    if (!handled) return handled;
  }
  if (!connected_ || goodbye_) return {};
  if (const std::optional<std::string> reported = hooks_.take_reported()) {
    const Result<int> id = session_.publish(topics_.reported(), *reported, true);
    if (!id) return fail(id.error());
    reported_ = *id;
  }
  while (std::optional<OutboundMessage> message = hooks_.take_message()) {
    const Result<int> id = session_.publish(topics_.below(message->topic), message->payload, false,
                                            {.content_type = message->content_type});
    if (!id) return fail(id.error());
    tickets_.emplace(*id, message->ticket);
  }
  return {};
}

Status Conversation::say_goodbye() {
  const Result<int> id = publish_presence(false);
  if (!id) return fail(id.error());
  goodbye_ = *id;
  return {};
}

Result<int> Conversation::publish_presence(bool online) {
  return session_.publish(topics_.presence(), presence_payload(online, clock_.wall(), boot_id_),
                          true);
}

Status Conversation::handle(const SessionConnected& event) {
  connected_ = true;
  if (const Result<int> id = publish_presence(true); !id) return fail(id.error());
  if (Status subscribed = session_.subscribe(filters_); !subscribed) return subscribed;
  hooks_.connected(event.session_present);
  return {};
}

Status Conversation::handle(const SessionSubscribed& event) {
  if (event.refused.empty()) return {};
  std::vector<std::string> refused;
  for (const size_t place : event.refused) {
    if (place < filters_.size()) refused.push_back(filters_[place]);
  }
  hooks_.subscription_refused(refused);
  return {};
}

Status Conversation::handle(const SessionPublished& event) {
  if (!event.accepted) {
    log_warn("the broker refuses a message", {{"reason", event.accepted.error().message()}});
  }
  if (reported_ == event.id) {
    reported_.reset();
    hooks_.reported_acknowledged();
  }
  if (goodbye_ == event.id) goodbye_acknowledged_ = true;
  answers_.erase(event.id);
  if (const auto ticket = tickets_.extract(event.id)) {
    hooks_.message_acknowledged(ticket.mapped(), event.accepted.has_value());
  }
  return {};
}

Status Conversation::handle(SessionMessage& event) {
  const std::optional<InboundTopic> topic = topics_.parse(event.topic);
  if (!topic) {
    // A persistent session may still subscribe to a group that this device has left.
    log_warn("message on a topic that is not this device's", {{"topic", event.topic}});
    return session_.unsubscribe(stale_filter(event.topic));
  }
  if (topic->kind == InboundTopic::Kind::Command) return answer(topic->request, event);
  hooks_.desired({topic->source, std::move(event.payload)});
  return {};
}

// Commands are part of the contract but not carried out yet: say so.
Status Conversation::answer(const std::string& request, const SessionMessage& command) {
  const bool named = is_topic_name(command.response_topic);
  const std::string topic = named ? command.response_topic : topics_.response(request);
  if (answers_.size() >= kMaxAnswersInFlight) {
    log_warn("too many commands at once, one goes unanswered", {{"request", request}});
    return {};
  }
  const std::string payload =
      error_response("Unimplemented", "this version of wherryd does not carry out commands");
  const Result<int> id = session_.publish(topic, payload, false, {command.correlation});
  if (!id) return fail(id.error());
  answers_.insert(*id);
  return {};
}

}  // namespace wherry
