#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/text_width.h"
#include "agent/cli/yaml_writer.h"

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

int exit_code(const Error& error) {
  if (error.reason() == "Unreachable") return kUnreachable;
  if (error.code() == Code::InvalidArgument) return kUsage;
  return error.code() == Code::NotFound ? kNotFound : kFailed;
}

}  // namespace

const Json* member(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() ? nullptr : &*found;
}

void print(const Session& session, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), session.io.out);
}

void print_data(const Session& session, const Json& json) {
  if (session.format == Format::Yaml) return print(session, to_yaml(json));
  print(session, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

int report(const Session& session, const Error& error) {
  std::fprintf(session.io.err, "wherry: %s\n", printable(error.full()).c_str());
  return exit_code(error);
}

int report_usage(const Io& io, const std::string& message) {
  std::fprintf(io.err, "wherry: %s\n", printable(message).c_str());
  return kUsage;
}

std::string text_of(const Json& json, const char* key) {
  const Json* value = member(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

int64_t number_of(const Json& json, const char* key) {
  const Json* value = member(json, key);
  return value != nullptr && value->is_number() ? value->get<int64_t>() : 0;
}

bool flag_of(const Json& json, const char* key) {
  const Json* value = member(json, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

const Json& list_of(const Json& json, const char* key) {
  static const Json kNone = Json::array();
  const Json* value = member(json, key);
  return value != nullptr && value->is_array() ? *value : kNone;
}

}  // namespace wherry::cli
