#include "agent/command/answers.h"

#include <nlohmann/json.hpp>

namespace wherry {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The end of it, from the beginning of a character on.
std::string end_of(const std::string& text, size_t most) {
  size_t at = text.size() > most ? text.size() - most : 0;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
  return text.substr(at);
}

}  // namespace

std::string answer_with(std::string_view result) {
  return R"({"ok":true,"result":)" + std::string(result) + "}";
}

std::string refusal(std::string_view code, std::string_view message) {
  Json json;
  json["ok"] = false;
  json["error"] = {{"code", code}, {"message", message}};
  return dump(json);
}

std::string refusal(const Error& error) { return refusal(to_string(error.code()), error.full()); }

std::string carried_out_for(const std::string& source, std::string answer) {
  if (!answer.ends_with('}')) return answer;
  answer.pop_back();
  return answer + ",\"source\":" + dump(source) + "}";
}

std::string shortened(const std::string& answer, size_t most) {
  if (answer.size() <= most) return answer;
  Json json = Json::parse(answer, nullptr, false);
  if (!json.is_object()) json = Json::object();
  json["cut"] = {{"bytes", answer.size()},
                 {"message", "only the first answer was whole; it is too large to be kept"}};
  // Each text may have an equal part of half the room: escaped it may be longer.
  if (json.contains("result") && json["result"].is_object()) {
    Json& result = json["result"];
    for (size_t part = most / 2 / (result.size() + 1); part > 16; part /= 4) {
      for (auto& [name, value] : result.items()) {
        if (value.is_string()) value = end_of(value.get_ref<const std::string&>(), part);
      }
      std::string text = dump(json);
      if (text.size() <= most) return text;
    }
  }
  if (json.contains("result")) json["result"] = nullptr;
  if (json.contains("error")) json["error"]["message"] = "too long to be kept";
  return dump(json);
}

}  // namespace wherry
