#include <nlohmann/json.hpp>

#include "runtime/spec/oci_spec.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

// A missing or null member is empty: image builders write both.
Result<std::string> text_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string())
    return fail(Code::InvalidArgument, std::string("image config: ") + name + " is no string");
  return found->get<std::string>();
}

Result<std::vector<std::string>> list_member(const Json& object, const char* name) {
  std::vector<std::string> list;
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return list;
  const auto wrong = [name] {
    return fail(Code::InvalidArgument,
                std::string("image config: ") + name + " is no list of strings");
  };
  if (!found->is_array()) return wrong();
  for (const Json& item : *found) {
    if (!item.is_string()) return wrong();
    list.push_back(item.get<std::string>());
  }
  return list;
}

template <typename T>
bool take(Result<T> from, T& into, Status& status) {
  if (!from) {
    status = fail(from.error());
    return false;
  }
  into = std::move(*from);
  return true;
}

}  // namespace

Result<ImageConfig> parse_image_config(const std::string& json) {
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return fail(Code::InvalidArgument, "image config is no JSON object");
  ImageConfig result;
  const auto config = document.find("config");
  if (config == document.end() || config->is_null()) return result;
  if (!config->is_object()) return fail(Code::InvalidArgument, "image config: config is no object");
  Status status;
  const bool complete = take(list_member(*config, "Entrypoint"), result.entrypoint, status) &&
                        take(list_member(*config, "Cmd"), result.cmd, status) &&
                        take(list_member(*config, "Env"), result.env, status) &&
                        take(text_member(*config, "User"), result.user, status) &&
                        take(text_member(*config, "WorkingDir"), result.working_dir, status) &&
                        take(text_member(*config, "StopSignal"), result.stop_signal, status);
  if (!complete) return fail(status.error());
  return result;
}

}  // namespace wherry::runtime
