#include "base/strict_json.h"

#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/quantity.h"
#include "base/text.h"

namespace wherry {

Result<nlohmann::json> parse_strict_json(std::string_view text, JsonBounds bounds) {
  using Json = nlohmann::json;
  if (text.size() > bounds.bytes) {
    return fail(Code::InvalidArgument,
                "it is larger than " + format_bytes(static_cast<int64_t>(bounds.bytes)));
  }
  // The parser skips the one, and stops at the other.
  if (text.starts_with("\xEF\xBB\xBF")) {
    return fail(Code::InvalidArgument, "it begins with a byte order mark");
  }
  if (text.find('\0') != std::string_view::npos) {
    return fail(Code::InvalidArgument, "it holds a NUL byte");
  }
  std::vector<std::set<std::string>> members;
  std::string twice;
  bool deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    if (depth > bounds.depth) {
      deep = true;
      return false;  // and nothing below is kept
    }
    if (event == Event::object_start) members.emplace_back();
    if (event == Event::object_end && !members.empty()) members.pop_back();
    if (event == Event::key && !members.empty() &&
        !members.back().insert(parsed.get<std::string>()).second) {
      twice = parsed.get<std::string>();
    }
    return true;
  };
  Json json = Json::parse(text, watch, false);
  if (json.is_discarded() && !deep) return fail(Code::InvalidArgument, "it is not JSON");
  if (deep) return fail(Code::InvalidArgument, "it is nested too deeply");
  if (!twice.empty()) {
    return fail(Code::InvalidArgument, "\"" + printable(twice, 60) + "\" stands there twice");
  }
  return json;
}

}  // namespace wherry
