#include "agent/simulate/command_taker.h"

#include "agent/command/answers.h"
#include "agent/command/command_rules.h"

namespace wherry::simulate {

void CommandTaker::receive(CommandMessage message) {
  if (message.payload.size() > kMaxCommandBytes) message.payload.resize(kMaxCommandBytes + 1);
  if (waiting_.size() < kMostWaiting) {
    waiting_.push_back(std::move(message));
    return;
  }
  send(message, refusal("TooManyCommands",
                        "too many commands wait already; it was not carried out: send it again "
                        "later"));
}

bool CommandTaker::work() {
  if (waiting_.empty()) return false;
  while (!waiting_.empty()) {
    const CommandMessage message = std::move(waiting_.front());
    waiting_.pop_front();
    send(message, answer_to(message));
  }
  return true;
}

std::string CommandTaker::answer_to(const CommandMessage& message) {
  if (Status fine = check_envelope(message); !fine) return refusal(fine.error());
  const Key key{message.source, message.request};
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const auto command = admit(message, {}, clock_.wall());
  if (!command) return refusal(command.error());
  const auto result = commands_.carry_out(
      *command, "over MQTT (" + message.source + ", request " + message.request + ")", {});
  std::string answer = result ? answer_with(*result) : refusal(result.error());
  remember(key, answer);
  return answer;
}

void CommandTaker::remember(Key key, const std::string& answer) {
  constexpr size_t kMostKept = 4u << 10;
  known_[key] = shortened(answer, kMostKept);
  order_.push_back(std::move(key));
  if (order_.size() <= kMostKnown) return;
  known_.erase(order_.front());
  order_.pop_front();
}

void CommandTaker::send(const CommandMessage& message, std::string answer) {
  // Where too many answers wait for the broker already, this one is lost, as on a real device.
  (void)send_({0, message.request, message.response_topic, message.correlation, std::move(answer)});
}

}  // namespace wherry::simulate
