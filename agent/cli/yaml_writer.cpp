#include "agent/cli/yaml_writer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include <nlohmann/json.hpp>

namespace wherry::cli {
namespace {

using Json = nlohmann::ordered_json;

// Plain only where every YAML reader, 1.1 or 1.2, sees a string: starts with a letter or "/", holds
// nothing special, and is none of the words that mean something.
bool is_plain(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords{"true", "false", "null", "yes", "no",
                                                   "on",   "off",   "y",    "n"};
  constexpr std::string_view kOthers = "/._-@+";
  if (text.empty() || (std::isalpha(static_cast<unsigned char>(text[0])) == 0 && text[0] != '/')) {
    return false;
  }
  const bool simple = std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || kOthers.find(c) != kOthers.npos;
  });
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return simple && std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

std::string scalar(const Json& json) {
  if (json.is_string() && is_plain(json.get_ref<const std::string&>())) {
    return json.get<std::string>();
  }
  // A JSON scalar is a YAML scalar; empty containers too.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_block(const Json& json) { return json.is_structured() && !json.empty(); }

std::string key_text(const std::string& key) { return scalar(Json(key)); }

// `first`: how the first line begins (the indentation, or the "- " of the list it is in).
void write(const Json& json, std::string first, const std::string& indent, std::string& out) {
  if (json.is_array()) {
    for (const Json& item : json) {
      if (is_block(item)) {
        write(item, first + "- ", indent + "  ", out);
      } else {
        out += first + "- " + scalar(item) + "\n";
      }
      first = indent;
    }
    return;
  }
  for (const auto& [key, value] : json.items()) {
    out += first + key_text(key) + ":";
    first = indent;
    if (!is_block(value)) {
      out += " " + scalar(value) + "\n";
      continue;
    }
    out += "\n";
    // Lists sit at the indentation of their key, as in Kubernetes' own output.
    const std::string inner = value.is_array() ? indent : indent + "  ";
    write(value, inner, inner, out);
  }
}

}  // namespace

std::string to_yaml(const Json& json) {
  if (!is_block(json)) return scalar(json) + "\n";
  std::string out;
  write(json, "", "", out);
  return out;
}

}  // namespace wherry::cli
