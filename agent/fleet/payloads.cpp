#include "agent/fleet/payloads.h"

#include <nlohmann/json.hpp>

namespace wherry {

std::string presence_payload(bool online, WallTime at, const std::string& boot_id) {
  nlohmann::ordered_json json;
  json["state"] = online ? "online" : "offline";
  json["at"] = to_rfc3339(at);
  json["boot"] = boot_id;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string error_response(const std::string& code, const std::string& message) {
  nlohmann::ordered_json json;
  json["ok"] = false;
  json["error"] = {{"code", code}, {"message", message}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace wherry
