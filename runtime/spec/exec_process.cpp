#include "runtime/spec/exec_process.h"

#include <nlohmann/json.hpp>

namespace wherry::runtime {

Result<std::string> exec_process(const std::string& spec_json,
                                 const std::vector<std::string>& argv) {
  using Json = nlohmann::json;
  const Json spec = Json::parse(spec_json, nullptr, false);
  if (!spec.is_object() || !spec.contains("process") || !spec["process"].is_object()) {
    return fail(Code::InvalidArgument, "the container's specification has no process");
  }
  Json process = spec["process"];
  process["args"] = argv;
  process["terminal"] = false;
  return process.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace wherry::runtime
