#include "agent/manifest/node.h"

#include <algorithm>
#include <cstring>

namespace wherry::manifest {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::Null:
      return "nothing";
    case Kind::Boolean:
      return "a boolean";
    case Kind::Integer:
    case Kind::Float:
      return "a number";
    case Kind::String:
      return "a string";
    case Kind::List:
      return "a list";
    case Kind::Map:
      return "a mapping";
  }
  return "";
}

const Node* Node::find(std::string_view name) const {
  if (!is_map()) return nullptr;
  for (const Node& child : *this) {
    if (child.key->text == name) return &child;
  }
  return nullptr;
}

namespace {

constexpr size_t kNodesPerBlock = 512;
constexpr size_t kBytesPerBlock = 32u << 10;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits of the base with underscores between, at least one.
bool all_digits(std::string_view text, std::string_view digits) {
  bool any = false;
  for (const char c : text) {
    if (c == '_') continue;
    if (digits.find(c) == std::string_view::npos) return false;
    any = true;
  }
  return any;
}

bool is_integer(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0') {
    const std::string_view rest = text.substr(2);
    if (text[1] == 'x' || text[1] == 'X') return all_digits(rest, "0123456789abcdefABCDEF");
    if (text[1] == 'o') return all_digits(rest, "01234567");
    if (text[1] == 'b') return all_digits(rest, "01");
  }
  return !text.empty() && is_digit(text[0]) && all_digits(text, "0123456789");
}

bool is_float(std::string_view text) {
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return true;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  if (text == ".inf" || text == ".Inf" || text == ".INF") return true;
  size_t at = 0;
  bool any = false;
  const auto digits = [&] {
    for (; at < text.size() && (is_digit(text[at]) || text[at] == '_'); ++at) {
      any = any || is_digit(text[at]);
    }
  };
  if (text.empty() || text[0] == '_') return false;
  digits();
  if (at < text.size() && text[at] == '.') ++at, digits();
  if (!any) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    any = false;
    digits();
  }
  return any && at == text.size();
}

bool is_boolean(std::string_view text) {
  static constexpr std::string_view kWords[] = {
      "y",    "Y",    "yes",   "Yes",   "YES",   "n",  "N",  "no", "No",  "NO",  "true",
      "True", "TRUE", "false", "False", "FALSE", "on", "On", "ON", "off", "Off", "OFF"};
  return std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords);
}

}  // namespace

Kind classify_plain_scalar(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return Kind::Null;
  }
  const char c = text[0];
  if (is_digit(c) || c == '+' || c == '-' || c == '.') {
    if (is_integer(text)) return Kind::Integer;
    if (is_float(text)) return Kind::Float;
    return Kind::String;
  }
  return text.size() <= 5 && is_boolean(text) ? Kind::Boolean : Kind::String;
}

Node* Arena::node() {
  if (nodes_.empty() || node_used_ == kNodesPerBlock) {
    nodes_.push_back(std::make_unique<Node[]>(kNodesPerBlock));
    node_used_ = 0;
  }
  return &nodes_.back()[node_used_++];
}

char* Arena::take(size_t bytes) {
  if (bytes > left_) {
    const size_t block = std::max(bytes, kBytesPerBlock);
    blocks_.push_back(std::make_unique<char[]>(block));
    if (block > kBytesPerBlock) return blocks_.back().get();  // keep filling the one before
    at_ = blocks_.back().get();
    left_ = block;
  }
  left_ -= bytes;
  char* taken = at_;
  at_ += bytes;
  return taken;
}

std::string_view Arena::text(std::string_view bytes) {
  if (bytes.empty()) return {};
  char* copy = take(bytes.size());
  std::memcpy(copy, bytes.data(), bytes.size());
  return {copy, bytes.size()};
}

}  // namespace wherry::manifest
