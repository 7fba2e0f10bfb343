#pragma once
// Takes commands for one simulated device, by the rules of CommandDesk but for what is kept: in
// memory, and of the latest only.

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "agent/command/commands.h"
#include "agent/fleet/fleet_link.h"

namespace wherry::simulate {

// Not thread-safe. The commands and the clock must outlive it.
class CommandTaker {
 public:
  static constexpr size_t kMostKnown = 64;    // requests that are not carried out again
  static constexpr size_t kMostWaiting = 32;  // commands

  CommandTaker(const Commands& commands, const Clock& clock,
               std::function<bool(CommandAnswer)> send)
      : commands_(commands), clock_(clock), send_(std::move(send)) {}

  void receive(CommandMessage message);
  // Carries out what was received, in its order; true where there was something.
  bool work();

 private:
  using Key = std::pair<std::string, std::string>;  // source, request
  std::string answer_to(const CommandMessage& message);
  void remember(Key key, const std::string& answer);
  void send(const CommandMessage& message, std::string answer);

  const Commands& commands_;
  const Clock& clock_;
  const std::function<bool(CommandAnswer)> send_;
  std::deque<CommandMessage> waiting_;
  std::map<Key, std::string> known_;
  std::deque<Key> order_;
};

}  // namespace wherry::simulate
