// wherry sign: documents and commands, signed where they are written, without a daemon.
#include <array>
#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/command/command.h"
#include "agent/manifest/document.h"
#include "agent/signing/jws.h"
#include "base/quantity.h"
#include "base/strict_json.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

Status is_command(const nlohmann::json& json, size_t bytes) {
  if (bytes > kMaxCommandBytes) {
    return fail(Code::InvalidArgument,
                "a command has at most " + format_bytes(int64_t{kMaxCommandBytes}));
  }
  for (const char* name : {"target", "request", "expires"}) {
    const auto found = json.find(name);
    if (found != json.end() && found->is_string()) continue;
    return fail(Code::InvalidArgument, std::string(name) +
                                           ": a signed command says for whom it is, as which "
                                           "request and until when; add it, as a text");
  }
  return {};
}

// What no device would take is not signed.
Status is_worth_signing(const std::string& text) {
  const auto json =
      parse_strict_json(text, {.bytes = kMaxDocumentBytes, .depth = kMaxCommandDepth});
  if (json && json->is_object() && json->contains("command")) return is_command(*json, text.size());
  const Document document = parse_desired_state(text);
  if (!document.valid()) {
    const Finding& error = document.errors.front();
    const std::string path = error.path.empty() ? "" : error.path + ": ";
    return fail(Code::InvalidArgument, path + error.message + "; see wherry validate");
  }
  if (!document.target.empty()) return {};
  return fail(Code::InvalidArgument,
              "metadata.target: is missing; a signed document says whom it is for (devices/<id> or "
              "groups/<group>)");
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
  if (Status worth = is_worth_signing(*text); !worth) return invalid(session, worth.error());
  const auto message = sign_jws(*text, *key, kid);
  if (!message) return report(session, message.error());
  print(session, *message + "\n");
  return kDone;
}

}  // namespace wherry::cli
