#include "agent/command/command_desk.h"

#include <utility>

#include "agent/command/answers.h"
#include "agent/signing/jws.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr const char* kInterrupted = "Interrupted";
constexpr const char* kTooMany = "TooManyCommands";
constexpr size_t kMostReopened = 64;  // answers of an earlier life that are sent again

std::string interrupted() {
  return refusal(kInterrupted,
                 "the agent ended while the command was carried out; it may or may not have been");
}

std::string too_many(const char* what) {
  return refusal(kTooMany, std::string(what) + "; it was not carried out: send it again later");
}

}  // namespace

CommandDesk::CommandDesk(CommandDeskParts parts, CommandRules rules)
    : parts_(std::move(parts)),
      rules_(std::move(rules)),
      // Acknowledgements wait in the same queue.
      intake_(std::make_unique<Executor>("commands", 1, 2 * kMostWaiting)),
      slow_lane_(std::make_unique<Executor>("cmd-slow", kSlowThreads, kMostSlow)) {}

void CommandDesk::start() {
  if (!post([this] { answer_open(); })) log_warn("commands cannot be carried out");
}

void CommandDesk::stop() {
  cancel_.cancel();
  std::unique_ptr<Executor> intake;
  {
    const std::lock_guard lock(mutex_);
    intake = std::move(intake_);
  }
  intake.reset();  // and with it who posts to the other
  slow_lane_.reset();
}

bool CommandDesk::post(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  return intake_ != nullptr && intake_->post(std::move(job));
}

CommandDesk::ReplyTo CommandDesk::reply_to(const CommandRecord& command) {
  return {command.request, command.response_topic, command.correlation,
          command.asked_on == command.source ? std::string() : command.source};
}

// Of many that nobody fetched, older ones are kept for those who ask again.
void CommandDesk::answer_open() {
  const Status kept = parts_.store.interrupt_commands(interrupted(), kMostReopened);
  if (!kept) log_warn("answers are not kept", {{"error", kept.error().full()}});
  const auto open = parts_.store.open_commands(kMostReopened);
  if (!open) {
    return log_warn("commands of an earlier life are not answered",
                    {{"error", open.error().full()}});
  }
  for (const CommandRecord& command : *open) {
    send(command.number, reply_to(command),
         command.answer.empty() ? interrupted() : command.answer);
  }
}

void CommandDesk::receive(CommandMessage message) {
  if (cancel_.cancelled()) return;
  constexpr size_t kMost = signed_size(kMaxCommandBytes);
  if (message.payload.size() > kMost) message.payload.resize(kMost + 1);
  const auto held = std::make_shared<CommandMessage>(std::move(message));
  if (++waiting_ <= kMostWaiting) {
    const bool posted = post([this, held] {
      --waiting_;
      take(*held);
    });
    if (posted) return;
  }
  --waiting_;
  refuse(*held, too_many("too many commands wait already"));
}

void CommandDesk::answered(uint64_t ticket) {
  const auto note = [this, ticket] {
    const Status noted = parts_.store.deliver_command(static_cast<int64_t>(ticket));
    if (!noted) log_debug("a delivered answer is not noted", {{"error", noted.error().full()}});
  };
  if (!post(note)) note();  // the queue is full, or the agent is stopping
}

void CommandDesk::take(const CommandMessage& message) {
  if (cancel_.cancelled()) return;
  if (Status fine = check_envelope(message); !fine) return refuse(message, refusal(fine.error()));
  auto known = parts_.store.find_command(message.request);
  if (!known) return refuse(message, refusal(known.error()));
  if (*known) {
    // Only who may command may say where its answer goes.
    Status fine = check_signature(message, rules_);
    return fine ? again(message, std::move(**known)) : refuse(message, refusal(fine.error()));
  }
  const auto command = admit(message, rules_, parts_.clock.wall());
  if (!command) return refuse(message, refusal(command.error()));
  const bool slow = Commands::is_slow(command->kind);
  {
    const std::lock_guard lock(mutex_);
    if (slow && slow_ >= kMostSlow) {
      return refuse(message, too_many("too many commands that take long are under way"));
    }
  }
  CommandRecord record;
  record.source = message.source;
  record.request = message.request;
  record.received_at = parts_.clock.wall();
  record.response_topic = message.response_topic;
  record.correlation = message.correlation;
  const auto number = parts_.store.take_command(record);
  if (!number) return refuse(message, refusal(number.error().wrap("it was not carried out")));
  if (Status fine = failpoint("command.recorded"); !fine) return;
  {
    const std::lock_guard lock(mutex_);
    under_way_[*number] = {message.request, message.response_topic, message.correlation};
    slow_ += slow ? 1 : 0;
  }
  const std::string given_by =
      "over MQTT (" + message.source + ", request " + message.request + ")";
  log_info("command", {{"command", std::string(to_string(command->kind))},
                       {"workload", printable(command->workload)},
                       {"source", message.source},
                       {"request", message.request}});
  if (!slow) return carry_out(*number, *command, given_by);
  const bool posted = slow_lane_->post([this, number = *number, command = *command, given_by] {
    carry_out(number, command, given_by);
    const std::lock_guard lock(mutex_);
    --slow_;
  });
  if (posted) return;
  {
    const std::lock_guard lock(mutex_);
    --slow_;
  }
  finish(*number, too_many("there is no room for it"));
}

// It is never carried out a second time: the answer it got, or will get, goes where it is asked for
// now.
void CommandDesk::again(const CommandMessage& message, CommandRecord known) {
  known.asked_on = message.source;
  known.response_topic = message.response_topic;
  known.correlation = message.correlation;
  const Status noted = parts_.store.readdress_command(known);
  if (!noted) log_debug("where an answer goes is not noted", {{"error", noted.error().full()}});
  const ReplyTo to = reply_to(known);
  {
    const std::lock_guard lock(mutex_);
    const auto running = under_way_.find(known.number);
    if (running != under_way_.end()) {
      running->second = to;
      return;
    }
  }
  // It may have ended since it was looked up.
  const auto now = parts_.store.find_command(message.request);
  const bool ended = now && *now && !(*now)->answer.empty();
  send(known.number, to, ended ? (*now)->answer : interrupted());
}

void CommandDesk::carry_out(int64_t number, const Command& command, const std::string& given_by) {
  const auto result = parts_.commands.carry_out(command, given_by, cancel_);
  if (!failpoint("command.carried-out")) return;
  if (!result && cancel_.cancelled()) return finish(number, interrupted());
  finish(number, result ? answer_with(*result) : refusal(result.error()));
}

void CommandDesk::finish(int64_t number, const std::string& answer) {
  const Status kept = parts_.store.answer_command(number, shortened(answer, kMostKept));
  if (!kept) {
    log_warn("an answer to a command is not kept", {{"error", kept.error().full()}});
  }
  if (!failpoint("command.answer-kept")) return;
  ReplyTo to;
  {
    const std::lock_guard lock(mutex_);
    to = std::move(under_way_.extract(number).mapped());
  }
  send(number, to, answer);
}

void CommandDesk::refuse(const CommandMessage& message, const std::string& answer) {
  log_info("a command is refused", {{"source", message.source},
                                    {"request", printable(message.request)},
                                    {"answer", printable(answer, 300)}});
  send(0, {message.request, message.response_topic, message.correlation}, answer);
}

void CommandDesk::send(int64_t number, const ReplyTo& to, std::string answer) {
  if (!to.source.empty()) answer = carried_out_for(to.source, std::move(answer));
  const bool taken = parts_.send(
      {static_cast<uint64_t>(number), to.request, to.topic, to.correlation, std::move(answer)});
  if (!taken) {
    log_warn("too many answers wait for the broker: one is sent only when it is asked for again",
             {{"request", printable(to.request)}});
  }
}

}  // namespace wherry
