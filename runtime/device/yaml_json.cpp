#include "runtime/device/yaml_json.h"

#include <charconv>
#include <cstdlib>
#include <vector>
#include <yaml.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace wherry::runtime {
namespace {

using Json = nlohmann::json;

constexpr size_t kDeepest = 32;
constexpr size_t kMostValues = 20'000;

// The core schema of YAML 1.2, but for numbers that no field here takes.
Json plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true" || text == "false") return text == "true";
  const char* const end = text.data() + text.size();
  int64_t number = 0;
  // Octal as YAML 1.1 has it too: a mode is written 0660.
  const bool octal = text.size() > 1 && text[0] == '0';
  const size_t skip = octal ? (text[1] == 'o' ? 2 : 1) : 0;
  const auto read = std::from_chars(text.data() + skip, end, number, octal ? 8 : 10);
  if (read.ec == std::errc{} && read.ptr == end && end != text.data() + skip) return number;
  return text;
}

class Builder {
 public:
  // "" while all is well.
  std::string take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_DOCUMENT_START_EVENT:
        return documents_++ == 0 ? "" : "holds more than one YAML document";
      case YAML_ALIAS_EVENT:
        return "aliases (*) are not understood here: write the value out";
      case YAML_SCALAR_EVENT:
        return scalar(event);
      case YAML_SEQUENCE_START_EVENT:
        return begin(Json::array(), event.data.sequence_start.anchor,
                     event.data.sequence_start.tag);
      case YAML_MAPPING_START_EVENT:
        return begin(Json::object(), event.data.mapping_start.anchor, event.data.mapping_start.tag);
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        return end();
      default:
        return "";
    }
  }
  Json take_root() { return std::move(root_); }

 private:
  struct Level {
    Json value;
    std::string key;  // of a map: what comes next is its value
    bool has_key = false;
  };

  std::string scalar(const yaml_event_t& event) {
    const auto& data = event.data.scalar;
    if (data.anchor != nullptr || data.tag != nullptr) return marks();
    std::string text(reinterpret_cast<const char*>(data.value), data.length);
    const bool plain = data.style == YAML_PLAIN_SCALAR_STYLE;
    if (!levels_.empty() && levels_.back().value.is_object() && !levels_.back().has_key) {
      Level& level = levels_.back();
      if (level.value.contains(text)) return "\"" + printable(text) + "\" stands there twice";
      level.key = std::move(text);
      level.has_key = true;
      return "";
    }
    return put(plain ? plain_scalar(text) : Json(std::move(text)));
  }

  std::string begin(Json empty, const yaml_char_t* anchor, const yaml_char_t* tag) {
    if (anchor != nullptr || tag != nullptr) return marks();
    if (levels_.size() >= kDeepest) return "is nested too deeply";
    if (!levels_.empty() && levels_.back().value.is_object() && !levels_.back().has_key) {
      return "a key must be a plain word";
    }
    levels_.push_back({std::move(empty), {}, false});
    return "";
  }

  std::string end() {
    Json done = std::move(levels_.back().value);
    levels_.pop_back();
    return put(std::move(done));
  }

  std::string put(Json value) {
    if (++values_ > kMostValues) return "holds too many values";
    if (levels_.empty()) {
      root_ = std::move(value);
      return "";
    }
    Level& level = levels_.back();
    if (level.value.is_object()) {
      level.value[level.key] = std::move(value);
      level.has_key = false;
    } else {
      level.value.push_back(std::move(value));
    }
    return "";
  }

  static std::string marks() { return "anchors (&) and tags (!) are not understood here"; }

  std::vector<Level> levels_;
  Json root_;
  size_t values_ = 0;
  int documents_ = 0;
};

tl::unexpected<Error> problem(size_t line, const std::string& message) {
  return fail(Code::InvalidArgument, "line " + std::to_string(line + 1) + ": " + message);
}

}  // namespace

Result<Json> yaml_to_json(std::string_view text) {
  yaml_parser_t parser;
  if (yaml_parser_initialize(&parser) == 0) return fail(Code::Internal, "out of memory");
  yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()),
                               text.size());
  Builder builder;
  Result<Json> result = Json();
  for (bool more = true; more;) {
    yaml_event_t event;
    if (yaml_parser_parse(&parser, &event) == 0) {
      const char* const what = parser.problem == nullptr ? "cannot be read" : parser.problem;
      result = problem(parser.problem_mark.line, std::string("not valid YAML: ") + what);
      break;
    }
    more = event.type != YAML_STREAM_END_EVENT;
    if (const std::string wrong = builder.take(event); !wrong.empty()) {
      result = problem(event.start_mark.line, wrong);
      more = false;
    }
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  if (result) result = builder.take_root();
  return result;
}

}  // namespace wherry::runtime
