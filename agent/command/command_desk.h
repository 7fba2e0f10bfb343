#pragma once
// Commands of the fleet: each is carried out at most once, across restarts of the agent, and
// answered. See docs/decisions/0019-commands.md.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "agent/command/command_rules.h"
#include "agent/command/commands.h"
#include "agent/fleet/fleet_link.h"
#include "agent/store/store.h"
#include "base/cancel.h"
#include "base/executor.h"

namespace wherry {

// All must outlive it.
struct CommandDeskParts {
  Store& store;
  const Commands& commands;
  const Clock& clock;
  std::function<bool(CommandAnswer)> send;  // as FleetLink::answer; must not block
};

// Thread-safe.
class CommandDesk {
 public:
  // Commands that wait to be looked at, and of those that take long to be carried out.
  static constexpr size_t kMostWaiting = 32;
  static constexpr size_t kMostSlow = 8;
  static constexpr size_t kSlowThreads = 2;
  static constexpr size_t kMostKept = 64u << 10;  // bytes of an answer

  CommandDesk(CommandDeskParts parts, CommandRules rules);
  ~CommandDesk() { stop(); }
  CommandDesk(const CommandDesk&) = delete;
  CommandDesk& operator=(const CommandDesk&) = delete;

  // Answers what an earlier life of the agent left without an answer, or could not send.
  void start();
  // Neither waits for a command.
  void receive(CommandMessage message);
  void answered(uint64_t ticket);
  // Cancels what is under way and waits for it. What is received afterwards is dropped.
  void stop();

 private:
  struct ReplyTo {
    std::string request, topic, correlation;
    std::string source = {};  // where the command came from, for who asked elsewhere
  };
  static ReplyTo reply_to(const CommandRecord& command);
  bool post(std::function<void()> job);
  void answer_open();
  void take(const CommandMessage& message);
  void again(const CommandMessage& message, CommandRecord known);
  void carry_out(int64_t number, const Command& command, const std::string& given_by);
  void finish(int64_t number, const std::string& answer);
  void refuse(const CommandMessage& message, const std::string& answer);
  void send(int64_t number, const ReplyTo& to, std::string answer);

  const CommandDeskParts parts_;
  const CommandRules rules_;
  CancelToken cancel_;
  std::mutex mutex_;
  std::map<int64_t, ReplyTo> under_way_;  // by number
  size_t slow_ = 0;                       // of them: those that take long
  std::atomic<size_t> waiting_{0};        // to be looked at
  // In the order they came; then those that take long, apart. Last: they use what is above.
  std::unique_ptr<Executor> intake_, slow_lane_;
};

}  // namespace wherry
