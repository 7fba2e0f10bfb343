#pragma once
// What is said on one connection: presence, subscriptions, the reported state, answers to commands.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/fleet/fleet_link.h"
#include "agent/fleet/mqtt_session.h"
#include "agent/fleet/topics.h"

namespace wherry {

// The reason of the error where the broker has left something unanswered.
inline constexpr const char* kUnanswered = "Unanswered";

struct ConversationHooks {
  std::function<void(bool session_present)> connected;
  std::function<void(const std::vector<std::string>& filters)> subscription_refused;
  std::function<void(DesiredMessage)> desired;
  std::function<void(CommandMessage)> command;
  // The next answer to send with the number to acknowledge it by, nothing while there is none.
  std::function<std::optional<std::pair<uint64_t, CommandAnswer>>()> take_answer;
  // Not `accepted`: the broker refuses it.
  std::function<void(uint64_t number, bool accepted)> answer_acknowledged;
  // The reported state to send now, in flight from then on; nothing while there is none.
  std::function<std::optional<std::string>()> take_reported;
  std::function<void(bool accepted)> reported_acknowledged;
  // Presence or the reported state is refused; they are tried again after a pause. The other: all
  // of that is accepted now.
  std::function<void(const std::string& topic)> publish_refused;
  std::function<void()> publish_accepted;
  // The next message to send, nothing while there is none.
  std::function<std::optional<OutboundMessage>()> take_message;
  std::function<void(uint64_t ticket, bool accepted)> message_acknowledged;
};

// Not thread-safe. The session and the topics must outlive it.
class Conversation {
 public:
  Conversation(MqttSession& session, const Topics& topics, std::string boot_id, const Clock& clock,
               ConversationHooks hooks, Duration refused_retry, Duration answer_timeout);

  // Handles what the session received and sends what is due.
  Status advance();
  bool connected() const { return connected_; }
  // When what was refused is tried again; nothing where nothing was.
  std::optional<MonoTime> again_at() const {
    return presence_.refused || reported_.refused ? std::optional(again_at_) : std::nullopt;
  }
  // When the oldest message that has no answer is late, which is an error of advance().
  std::optional<MonoTime> answer_due() const;
  // Announces that the device goes offline; say it once, when nothing else is to be sent.
  Status say_goodbye();
  bool goodbye_said() const { return goodbye_.has_value(); }
  bool goodbye_acknowledged() const { return goodbye_acknowledged_; }

 private:
  Status handle(const SessionConnected& event);
  Status handle(SessionMessage& event);
  Status handle(const SessionPublished& event);
  Status handle(const SessionSubscribed& event);
  void hand_over(const InboundTopic& topic, SessionMessage& command);
  Status send_answers();
  struct Unanswered {
    std::string topic;
    MonoTime since{};
  };
  const Unanswered* oldest_unanswered() const;  // null: all is answered
  Status check_answers() const;
  Result<int> publish(const std::string& topic, const std::string& payload, bool retain,
                      const PublishProperties& properties = {});
  Result<int> publish_presence(bool online);
  // What the broker keeps for others: until it has the latest, they go by something older.
  struct Retained {
    std::optional<int> in_flight;  // its id
    bool refused = false;
  };
  void published(Retained& kept, const std::string& topic, bool accepted);
  // It was not refused a moment ago.
  bool is_due(const Retained& kept) const;

  MqttSession& session_;
  const Topics& topics_;
  const std::string boot_id_;
  const Clock& clock_;
  const ConversationHooks hooks_;
  const Duration refused_retry_, answer_timeout_;
  std::vector<std::string> filters_;
  bool connected_ = false;
  std::map<int, Unanswered> unanswered_;  // by the id in flight; kSubscription for the filters
  Retained presence_, reported_;
  MonoTime again_at_{};                         // for those of them that are refused
  std::map<int, uint64_t> answers_, messages_;  // numbers and tickets, by the id in flight
  std::optional<int> goodbye_;
  bool goodbye_acknowledged_ = false;
};

}  // namespace wherry
