// YAML through libyaml: the C original of the reader that Kubernetes' tools use, so a document that
// kubectl reads is read alike here. Its events feed the TreeBuilder, which stops it at the first
// bound that is passed; it looks at most 1024 characters ahead of them, and does not recurse.

#include <algorithm>
#include <yaml.h>

#include "agent/manifest/node.h"
#include "agent/manifest/tree_builder.h"

namespace wherry::manifest {
namespace {

Mark mark_of(const yaml_mark_t& mark) {
  return {static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

std::string_view view(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

// The scanner's terms, and what usually lies behind them.
struct Hint {
  std::string_view problem;
  std::string_view mend;
};
constexpr std::string_view kTagMend = "a value that begins with ! must be quoted";
constexpr Hint kHints[] = {
    {"mapping values are not allowed",
     "check the indentation, or put a value that contains \": \" in quotes"},
    {"did not find expected key", "check the indentation of this line and of the one before"},
    {"could not find expected ':'",
     "a \"key: value\" is needed here; check indentation and quotes"},
    {"did not find expected '-' indicator", "check the indentation of the list"},
    {"block sequence entries are not allowed", "a list begins on a line of its own"},
    {"did not find expected ',' or", "a bracket or brace is not closed, or a comma is missing"},
    {"found unexpected end of stream", "a quote is not closed"},
    {"found undefined tag handle", kTagMend},
    {"did not find expected tag URI", kTagMend},
    {"did not find expected whitespace or line break", kTagMend},
    {"did not find expected alphabetic or numeric character",
     "a value that begins with * or & must be quoted"},
    {"control characters are not allowed", "remove them or write them as \\x.. in double quotes"},
};

std::string character_hint(std::string_view text, size_t character) {
  size_t at = 0;
  for (; at < text.size() && character > 0; ++at) {
    if (at + 1 < text.size() && (text[at + 1] & 0xc0) == 0x80) continue;
    --character;
  }
  if (at >= text.size()) return {};
  if (text[at] == '\t') return "; a tab cannot indent YAML: use spaces";
  return std::string("; put a value that begins with ") + text[at] + " in quotes";
}

// The scanner counts the end of a last line without a line break as a line of its own: nobody's
// editor shows that one.
Mark end_of(std::string_view text, const yaml_mark_t& mark) {
  const auto characters =
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
  const size_t last_break = text.find_last_of("\r\n");
  const bool at_end = mark.column == 0 && mark.line > 0 &&
                      mark.index >= static_cast<size_t>(characters) &&
                      last_break + 1 != text.size();
  if (!at_end) return mark_of(mark);
  const size_t start = last_break == std::string_view::npos ? 0 : last_break + 1;
  return {static_cast<uint32_t>(mark.line), static_cast<uint32_t>(text.size() - start + 1)};
}

TreeError syntax_error(const yaml_parser_t& parser, std::string_view text) {
  const std::string_view problem =
      parser.problem == nullptr ? "out of memory" : std::string_view(parser.problem);
  std::string message = "not valid YAML: " + std::string(problem);
  if (problem == "found character that cannot start any token") {
    message += character_hint(text, parser.problem_mark.index);
  }
  for (const Hint& hint : kHints) {
    if (problem.find(hint.problem) == 0) message += "; " + std::string(hint.mend);
  }
  if (parser.error != YAML_READER_ERROR) return {message, end_of(text, parser.problem_mark)};
  const std::string_view before = text.substr(0, std::min(parser.problem_offset, text.size()));
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {message,
          {static_cast<uint32_t>(std::count(before.begin(), before.end(), '\n') + 1),
           static_cast<uint32_t>(before.size() - line_start + 1)}};
}

class Reader {
 public:
  Reader(Tree& tree, std::string_view text) : tree_(tree), text_(text), builder_(tree, true) {}

  void run() {
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
      tree_.errors.push_back({"out of memory", {}});
      return;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text_.data()),
                                 text_.size());
    bool more = true;
    while (more) {
      yaml_event_t event;
      if (yaml_parser_parse(&parser, &event) == 0) {
        tree_.errors.push_back(syntax_error(parser, text_));
        break;
      }
      more = handle(event);
      yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
  }

 private:
  bool handle(const yaml_event_t& event) {
    const Mark mark = mark_of(event.start_mark);
    switch (event.type) {
      case YAML_STREAM_END_EVENT:
        return false;
      case YAML_DOCUMENT_END_EVENT:
        builder_.end_document();
        return true;
      case YAML_ALIAS_EVENT:
        return builder_.alias(view(event.data.alias.anchor), mark);
      case YAML_SCALAR_EVENT:
        return scalar(event, mark);
      case YAML_SEQUENCE_START_EVENT:
        return check_tag(view(event.data.sequence_start.tag), "seq", mark) &&
               builder_.begin(Kind::List, mark, view(event.data.sequence_start.anchor));
      case YAML_MAPPING_START_EVENT:
        return check_tag(view(event.data.mapping_start.tag), "map", mark) &&
               builder_.begin(Kind::Map, mark, view(event.data.mapping_start.anchor));
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        return builder_.end();
      default:
        return true;
    }
  }

  static constexpr std::string_view kCore = "tag:yaml.org,2002:";

  bool unknown_tag(Mark mark) {
    return builder_.misread(
        "this YAML tag is not understood here: leave it out; a value that begins with ! must be "
        "quoted",
        mark);
  }
  bool check_tag(std::string_view tag, std::string_view own, Mark mark) {
    if (tag.empty() || tag == "!") return true;
    if (tag.substr(0, kCore.size()) == kCore && tag.substr(kCore.size()) == own) return true;
    return unknown_tag(mark);
  }

  bool scalar(const yaml_event_t& event, Mark mark) {
    const auto& data = event.data.scalar;
    const std::string_view text(reinterpret_cast<const char*>(data.value), data.length);
    const bool plain = data.style == YAML_PLAIN_SCALAR_STYLE;
    const std::string_view tag = view(data.tag);
    Kind kind = plain ? classify_plain_scalar(text) : Kind::String;
    if (!tag.empty() && !tagged(tag, text, kind)) return unknown_tag(mark);
    return builder_.scalar(kind, text, mark, plain, view(data.anchor));
  }

  // A core tag on a scalar: !!str makes a string of anything, the others must fit their value.
  static bool tagged(std::string_view tag, std::string_view text, Kind& kind) {
    if (tag == "!") return kind = Kind::String, true;
    if (tag.substr(0, kCore.size()) != kCore) return false;
    const std::string_view name = tag.substr(kCore.size());
    if (name == "str") return kind = Kind::String, true;
    const Kind plain = classify_plain_scalar(text);
    const bool fits = (name == "int" && plain == Kind::Integer) ||
                      (name == "bool" && plain == Kind::Boolean) ||
                      (name == "null" && plain == Kind::Null) ||
                      (name == "float" && (plain == Kind::Float || plain == Kind::Integer));
    if (fits) kind = plain;
    return fits;
  }

  Tree& tree_;
  const std::string_view text_;
  TreeBuilder builder_;
};

}  // namespace

Tree read_yaml(std::string_view text) {
  Tree tree;
  Reader(tree, text).run();
  return tree;
}

}  // namespace wherry::manifest
