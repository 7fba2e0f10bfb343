#pragma once
// Which messages of the fleet are commands that may be carried out.

#include <map>
#include <string>

#include "agent/command/command.h"
#include "agent/fleet/fleet_link.h"
#include "agent/signing/signatures.h"

namespace wherry {

struct CommandRules {
  std::map<std::string, bool> allow;  // by name, over what is so by default: all but exec
  SignatureOptions signatures{};
};

// What is wrong with how it came, before its payload is read: InvalidArgument.
Status check_envelope(const CommandMessage& message);
// Not so where it is not signed as it should be: PermissionDenied.
Status check_signature(const CommandMessage& message, const CommandRules& rules);
// The command, unless it is malformed (InvalidArgument), not signed as it should be or switched off
// (PermissionDenied). `now` is what an age counts from.
Result<Command> admit(const CommandMessage& message, const CommandRules& rules, WallTime now);

}  // namespace wherry
