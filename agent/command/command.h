#pragma once
// A command as it is written, and read: docs/topics.md.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace wherry {

inline constexpr size_t kMaxCommandBytes = 64u << 10;
// Levels of nesting: one of `plan` holds a document, which may have 64.
inline constexpr int kMaxCommandDepth = 70;

enum class CommandKind {
  Ping,
  Status,
  Restart,
  Stop,
  Start,
  Logs,
  Exec,
  Pull,
  Prune,
  Plan,
  Check,
  SupportBundle,
};
std::string_view to_string(CommandKind kind);  // "ping", "support-bundle"
std::span<const std::string_view> command_names();

struct Command {
  CommandKind kind = CommandKind::Ping;
  std::string workload;   // restart, stop, start, logs, exec
  std::string container;  // logs: "" for all; exec: "" for the only one, or the one of its name
  // logs: those of the last `tail` lines that hold `pattern`, as it stands there.
  int64_t tail = 100;
  std::optional<WallTime> since, until;
  std::string pattern;
  // exec
  std::vector<std::string> argv;
  Duration timeout = std::chrono::seconds(30);
  size_t max_output = 64u << 10;  // bytes kept of each stream
  std::string image;              // pull
  // plan: a DesiredState, and as whose document it is looked at: "" for the device's own.
  std::string document, source;
  // What a signed command is bound to; checked where it is said.
  std::string target, request;
  std::optional<WallTime> expires;
};

// How far ahead a signed command may expire: so long a device knows what it has carried out.
inline constexpr Duration kLongestSigned = std::chrono::hours(24);
inline constexpr int64_t kMostLogLines = 10'000;
inline constexpr Duration kLongestExec = std::chrono::minutes(10);
inline constexpr size_t kMostExecOutput = 256u << 10;

// {"command":"…","args":{…}} and, where it is signed, "target", "request" and "expires"; `now` is
// what an age counts from. InvalidArgument names what is wrong, and is one line of UTF-8.
Result<Command> parse_command(std::string_view payload, WallTime now);
// The arguments alone, of a known command; `workload`: where it is said elsewhere, it is no
// argument.
Result<Command> parse_arguments(CommandKind kind, std::string_view payload, WallTime now,
                                const std::string& workload);

// `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`
bool is_request_id(std::string_view text);

}  // namespace wherry
