// JSON (RFC 8259) with the place of every value, which a DOM library does not keep. YAML readers
// take most JSON but not all of it (surrogate pairs, long keys), so it has a reader of its own.

#include <algorithm>

#include "agent/manifest/document.h"
#include "agent/manifest/node.h"
#include "agent/manifest/tree_builder.h"
#include "base/text.h"

namespace wherry::manifest {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class JsonReader {
 public:
  JsonReader(Tree& tree, std::string_view text)
      : at_(text.data()), end_(at_ + text.size()), line_start_(at_), builder_(tree, false) {}

  void run() {
    if (!value()) return;
    skip_space();
    if (at_ != end_) {
      syntax("one document is expected, and it ends before this");
      return;
    }
    builder_.end_document();
  }

 private:
  // Depth is bounded by builder_.begin(), and with it this recursion.
  bool value() {
    skip_space();
    if (at_ == end_) return syntax("the text ends where a value is expected");
    switch (*at_) {
      case '{':
        return object();
      case '[':
        return array();
      case '"': {
        const Mark mark = here();
        return string() && builder_.scalar(Kind::String, string_, mark);
      }
      case 't':
        return word("true", Kind::Boolean);
      case 'f':
        return word("false", Kind::Boolean);
      case 'n':
        return word("null", Kind::Null);
      default:
        return number();
    }
  }

  bool object() {
    if (!builder_.begin(Kind::Map, here())) return false;
    ++at_;
    if (skip_space(), take('}')) return builder_.end();
    while (true) {
      skip_space();
      const Mark mark = here();
      if (at_ == end_ || *at_ != '"') return syntax("a key in double quotes is expected");
      if (!string() || !builder_.scalar(Kind::String, string_, mark)) return false;
      if (skip_space(), !take(':')) return syntax("a colon is expected after the key");
      if (!value()) return false;
      skip_space();
      if (take('}')) return builder_.end();
      if (!take(',')) return syntax("a comma or } is expected");
    }
  }

  bool array() {
    if (!builder_.begin(Kind::List, here())) return false;
    ++at_;
    if (skip_space(), take(']')) return builder_.end();
    while (true) {
      if (!value()) return false;
      skip_space();
      if (take(']')) return builder_.end();
      if (!take(',')) return syntax("a comma or ] is expected");
    }
  }

  bool word(std::string_view word, Kind kind) {
    const Mark mark = here();
    if (std::string_view(at_, static_cast<size_t>(end_ - at_)).substr(0, word.size()) != word) {
      return syntax("a value is expected; strings need double quotes");
    }
    at_ += word.size();
    return builder_.scalar(kind, word, mark);
  }

  bool number() {
    const Mark mark = here();
    const char* start = at_;
    Kind kind = Kind::Integer;
    take('-');
    if (!digits(true)) return syntax("a value is expected; strings need double quotes");
    if (take('.')) {
      kind = Kind::Float;
      if (!digits(false)) return syntax("a digit is expected after the decimal point");
    }
    if (take('e') || take('E')) {
      kind = Kind::Float;
      if (!take('+')) take('-');
      if (!digits(false)) return syntax("a digit is expected in the exponent");
    }
    return builder_.scalar(kind, {start, static_cast<size_t>(at_ - start)}, mark);
  }

  bool digits(bool no_leading_zero) {
    const char* start = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    if (at_ == start) return false;
    return !no_leading_zero || *start != '0' || at_ - start == 1;
  }

  // Into string_; at_ is on the opening quote.
  bool string() {
    string_.clear();
    ++at_;
    while (true) {
      const char* run = at_;
      while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<uint8_t>(*at_) >= 0x20) {
        ++at_;
      }
      string_.append(run, at_);
      if (at_ == end_) return syntax("a string is not closed");
      if (static_cast<uint8_t>(*at_) < 0x20) {
        return syntax("a control character in a string must be written as an escape such as \\n");
      }
      if (take('"')) return true;
      if (!escape()) return false;
    }
  }

  bool escape() {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeaning = "\"\\/\b\f\n\r\t";
    ++at_;
    if (at_ == end_) return syntax("a string is not closed");
    if (take('u')) return unicode_escape();
    const size_t which = kLetters.find(*at_);
    if (which == std::string_view::npos) return syntax("this is no escape that JSON knows");
    string_ += kMeaning[which];
    ++at_;
    return true;
  }

  bool unicode_escape() {
    uint32_t point = 0;
    if (!hex4(point)) return false;
    if (point >= 0xd800 && point < 0xdc00) {
      uint32_t low = 0;
      if (!take('\\') || !take('u')) return syntax("half of a surrogate pair is missing");
      if (!hex4(low)) return false;
      if (low < 0xdc00 || low > 0xdfff) return syntax("half of a surrogate pair is missing");
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    } else if (point >= 0xdc00 && point <= 0xdfff) {
      return syntax("half of a surrogate pair is missing");
    }
    append_utf8(point);
    return true;
  }

  bool hex4(uint32_t& point) {
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ == end_) return syntax("a string is not closed");
      const char c = *at_;
      uint32_t digit = 0;
      if (is_digit(c)) {
        digit = static_cast<uint32_t>(c - '0');
      } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
        digit = static_cast<uint32_t>((c | 32) - 'a') + 10;
      } else {
        return syntax("four hexadecimal digits are expected after \\u");
      }
      point = point << 4 | digit;
    }
    return true;
  }

  void append_utf8(uint32_t point) {
    const auto put = [&](uint32_t byte) { string_ += static_cast<char>(byte); };
    if (point < 0x80) return put(point);
    if (point < 0x800) {
      put(0xc0 | point >> 6);
    } else {
      if (point < 0x10000) {
        put(0xe0 | point >> 12);
      } else {
        put(0xf0 | point >> 18), put(0x80 | (point >> 12 & 0x3f));
      }
      put(0x80 | (point >> 6 & 0x3f));
    }
    put(0x80 | (point & 0x3f));
  }

  bool take(char c) { return at_ != end_ && *at_ == c ? (++at_, true) : false; }
  void skip_space() {
    for (; at_ != end_; ++at_) {
      if (*at_ == '\n') {
        ++line_, line_start_ = at_ + 1;
      } else if (*at_ != ' ' && *at_ != '\t' && *at_ != '\r') {
        return;
      }
    }
  }
  Mark here() const { return {line_, static_cast<uint32_t>(at_ - line_start_ + 1)}; }
  bool syntax(std::string_view what) {
    return builder_.error("not valid JSON: " + std::string(what), here());
  }

  const char* at_;
  const char* const end_;
  const char* line_start_;
  uint32_t line_ = 1;
  std::string string_;
  TreeBuilder builder_;
};

Tree failed(std::string message, std::string_view before) {
  Tree tree;
  const auto line = static_cast<uint32_t>(std::count(before.begin(), before.end(), '\n') + 1);
  const auto column = static_cast<uint32_t>(before.size() - (before.rfind('\n') + 1) + 1);
  tree.errors.push_back({std::move(message), {line, column}});
  return tree;
}

// The start of the first line that is no UTF-8: no character spans a line break.
size_t first_bad_line(std::string_view text) {
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find('\n', start), text.size() - 1);
    if (!is_valid_utf8(text.substr(start, end - start + 1))) break;
    start = end + 1;
  }
  return start;
}

bool is_syntax_error(const Tree& tree) {
  return !tree.errors.empty() && tree.errors.back().message.find("not valid JSON") == 0;
}

}  // namespace

Tree read_json(std::string_view text) {
  Tree tree;
  JsonReader(tree, text).run();
  return tree;
}

Tree read_tree(std::string_view text) {
  if (text.size() > kMaxDocumentBytes) {
    return failed("the document is larger than 1 MiB; split it or move data out of it", {});
  }
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return failed("the document contains a NUL character: it is no YAML or JSON text",
                  text.substr(0, nul));
  }
  if (!is_valid_utf8(text)) {
    return failed("the document is not UTF-8 text; save it in that encoding",
                  text.substr(0, first_bad_line(text)));
  }
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (text[first] != '{' && text[first] != '[')) {
    return read_yaml(text);
  }
  Tree json = read_json(text);
  if (!is_syntax_error(json)) return json;
  Tree yaml = read_yaml(text);  // a document in YAML's flow style begins alike
  const size_t second = text.find_first_not_of(" \t\r\n", first + 1);
  const bool looks_like_json = second != std::string_view::npos && text[second] == '"';
  return yaml.errors.empty() || !looks_like_json ? std::move(yaml) : std::move(json);
}

}  // namespace wherry::manifest
