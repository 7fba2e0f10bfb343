// wherry sign: documents and commands, signed where they are written, without a daemon.
#include <filesystem>
#include <utility>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/command/command.h"
#include "agent/config/patterns.h"
#include "agent/manifest/document.h"
#include "agent/signing/jws.h"
#include "base/quantity.h"
#include "base/strict_json.h"

namespace wherry::cli {
namespace {

Status refused(const std::string& path, const std::string& what) {
  return fail(Code::InvalidArgument, path + ": " + what);
}

Status is_no_target(const std::string& text) {
  return refused("target", "\"" + text + "\" must be devices/<id> or groups/<group>");
}

Status check_target(const std::string& target) {
  for (const std::string_view prefix : {"devices/", "groups/"}) {
    if (!target.starts_with(prefix)) continue;
    return config::check_name(target.substr(prefix.size())) ? Status{} : is_no_target(target);
  }
  return is_no_target(target);
}

Status check_command(const std::string& text, WallTime now) {
  if (text.size() > kMaxCommandBytes) {
    return fail(Code::InvalidArgument,
                "a command has at most " + format_bytes(int64_t{kMaxCommandBytes}));
  }
  const auto command = parse_command(text, now);
  if (!command) return fail(command.error());
  for (const auto& [name, there] : {std::pair("target", !command->target.empty()),
                                    std::pair("request", !command->request.empty()),
                                    std::pair("expires", command->expires.has_value())}) {
    if (there) continue;
    return refused(name,
                   "a signed command says for whom it is, as which request and until when; add "
                   "it, as a text");
  }
  if (Status target = check_target(command->target); !target) return target;
  if (!is_request_id(command->request)) {
    return refused("request",
                   "must be 1 to 128 letters, digits, '.', '_', ':' or '-' and begin with a letter "
                   "or digit: it is the last part of a topic");
  }
  if (*command->expires < now) {
    return refused("expires", "that is past: it is " + to_rfc3339(now) + " now");
  }
  if (*command->expires > now + kLongestSigned) {
    return refused("expires", "must be at most " + format_duration(kLongestSigned) +
                                  " ahead: it is " + to_rfc3339(now) + " now");
  }
  return {};
}

// What no device would take is not signed.
Status is_worth_signing(const std::string& text, WallTime now) {
  const auto json =
      parse_strict_json(text, {.bytes = kMaxDocumentBytes, .depth = kMaxCommandDepth});
  if (json && json->is_object() && json->contains("command")) return check_command(text, now);
  const Document document = parse_desired_state(text);
  if (!document.valid()) {
    const Finding& error = document.errors.front();
    const std::string path = error.path.empty() ? "" : error.path + ": ";
    return fail(Code::InvalidArgument, path + error.message + "; see wherry validate");
  }
  if (document.target.empty()) {
    return refused("metadata.target",
                   "is missing; a signed document says whom it is for (devices/<id> or "
                   "groups/<group>, or local/<id> for what is applied over TCP)");
  }
  if (document.expires && *document.expires < now) {
    return refused("metadata.expires", "that is past: it is " + to_rfc3339(now) + " now");
  }
  return {};
}

int invalid(const Session& session, const Error& error) {
  report(session, error);
  return kInvalid;
}

}  // namespace

int sign(const Session& session, const SignArguments& arguments) {
  const std::string kid =
      arguments.kid.empty() ? std::filesystem::path(arguments.key).stem().string() : arguments.kid;
  if (!is_key_name(kid)) {
    return report_usage(session.io, "\"" + kid +
                                        "\" cannot name a key: give --kid with up to 64 letters, "
                                        "digits, '.', '_' or '-'");
  }
  const auto key = read_private_key(arguments.key);
  if (!key) return report(session, Error(Code::FailedPrecondition, key.error().full()));
  const auto text = read_document(arguments.file);
  if (!text) return report(session, text.error());
  if (Status worth = is_worth_signing(*text, session.io.clock.wall()); !worth) {
    return invalid(session, worth.error());
  }
  const auto message = sign_jws(*text, *key, kid);
  if (!message) return report(session, message.error());
  print(session, *message + "\n");
  return kDone;
}

}  // namespace wherry::cli
