#include "tests/fuzz/command_invariants.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "agent/command/answers.h"
#include "agent/command/command.h"
#include "base/text.h"

namespace wherry {
namespace {

const WallTime kNow{std::chrono::seconds(1'790'000'000)};

std::string broken_refusal(const Error& error) {
  const std::string said = error.full();
  const bool line = std::none_of(said.begin(), said.end(),
                                 [](char c) { return c >= 0 && (c < 0x20 || c == 0x7f); });
  if (!line || said.size() > 500 || !is_valid_utf8(said)) return "no short line: " + said;
  if (error.code() != Code::InvalidArgument) return "not an InvalidArgument: " + said;
  const auto answer = nlohmann::json::parse(refusal(error), nullptr, false);
  if (answer.is_discarded() || answer["ok"] != false) return "no answer: " + refusal(error);
  return {};
}

// What an accepted one holds is within what is promised to those who carry it out.
std::string broken_promise(const Command& command) {
  const bool about_workload =
      command.kind == CommandKind::Restart || command.kind == CommandKind::Stop ||
      command.kind == CommandKind::Start || command.kind == CommandKind::Logs ||
      command.kind == CommandKind::Exec;
  if (about_workload == command.workload.empty()) return "workload: " + command.workload;
  if (command.tail < 0 || command.tail > kMostLogLines) return "tail is out of its range";
  if (command.timeout <= Duration::zero() || command.timeout > kLongestExec) return "timeout";
  if (command.max_output > kMostExecOutput) return "maxOutput";
  if ((command.kind == CommandKind::Exec) == command.argv.empty()) return "argv";
  if ((command.kind == CommandKind::Pull) == command.image.empty()) return "image";
  if ((command.kind == CommandKind::Plan) == command.document.empty()) return "document";
  for (const std::string& text : command.argv) {
    if (text.find('\0') != std::string::npos) return "a NUL in argv";
  }
  return {};
}

}  // namespace

std::string broken_command(std::string_view text) {
  const auto command = parse_command(text, kNow);
  if (!command) return broken_refusal(command.error());
  if (command->kind < CommandKind::Check) {
    if (std::string broken = broken_promise(*command); !broken.empty()) return broken;
  }
  const auto again = parse_command(nlohmann::json::parse(text).dump(), kNow);
  if (!again || again->kind != command->kind || again->workload != command->workload ||
      again->argv != command->argv || again->timeout != command->timeout) {
    return "written out again it means something else";
  }
  return {};
}

}  // namespace wherry
