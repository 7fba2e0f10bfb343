#include "agent/command/command_rules.h"

#include "base/text.h"

namespace wherry {
namespace {

Status allowed(CommandKind kind, const CommandRules& rules) {
  const std::string name(to_string(kind));
  const auto set = rules.allow.find(name);
  const bool by_default = kind != CommandKind::Exec;
  if (set == rules.allow.end() ? by_default : set->second) return {};
  return fail(Code::PermissionDenied, "\"" + name +
                                          "\" is switched off on this device; set security.allow." +
                                          name + ": true in its configuration");
}

// Or it could be sent again later, or to another device, by whoever heard it.
Status check_binding(const Command& command, const CommandMessage& message, bool is_signed,
                     WallTime now) {
  const auto refused = [](const std::string& what) { return fail(Code::PermissionDenied, what); };
  if (is_signed && (command.target.empty() || command.request.empty() || !command.expires)) {
    return refused(R"(a signed command says for whom it is, as which request and until when: )"
                   R"({"command":…,"target":")" +
                   message.source + R"(","request":")" + message.request +
                   R"(","expires":"2027-01-01T00:00:00Z"})");
  }
  if (!command.target.empty() && command.target != message.source) {
    return refused("target: the command is for " + printable(command.target, 100) +
                   ", but came on the topic of " + message.source);
  }
  if (!command.request.empty() && command.request != message.request) {
    return refused("request: the command is request " + printable(command.request, 100) +
                   ", but came as " + message.request);
  }
  if (command.expires && *command.expires < now) {
    return refused("expires: the command expired at " + to_rfc3339(*command.expires) +
                   ": send it anew with a later time, or set the device's clock");
  }
  if (is_signed && *command.expires > now + kLongestSigned) {
    return refused("expires: at most " + format_duration(kLongestSigned) +
                   " ahead, so that it cannot be used again when the device has forgotten it");
  }
  return {};
}

}  // namespace

Status check_envelope(const CommandMessage& message) {
  if (!is_request_id(message.request)) {
    return fail(Code::InvalidArgument,
                "the request id, the last part of the topic, must be 1 to 128 letters, digits, "
                "'.', '_', ':' or '-' and begin with a letter or digit");
  }
  if (message.retained) {
    return fail(Code::InvalidArgument,
                "a command must not be retained: it would be carried out at every connect; clear "
                "the topic and send it without the flag");
  }
  return {};
}

Status check_signature(const CommandMessage& message, const CommandRules& rules) {
  const auto opened = Signatures(rules.signatures).open(message.payload, kMaxCommandBytes);
  return opened ? Status() : Status(fail(opened.error()));
}

Result<Command> admit(const CommandMessage& message, const CommandRules& rules, WallTime now) {
  const auto opened = Signatures(rules.signatures).open(message.payload, kMaxCommandBytes);
  if (!opened) return fail(opened.error());
  auto command = parse_command(opened->content, now);
  if (!command) return command;
  if (Status bound = check_binding(*command, message, !opened->kid.empty(), now); !bound) {
    return fail(bound.error());
  }
  if (Status may = allowed(command->kind, rules); !may) return fail(may.error());
  return command;
}

}  // namespace wherry
