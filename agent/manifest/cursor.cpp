#include "agent/manifest/cursor.h"

#include <charconv>

namespace wherry::manifest {

std::optional<int64_t> to_integer(const Node& node) {
  if (node.kind != Kind::Integer) return {};
  std::string_view text = node.text;
  const size_t digits = !text.empty() && text[0] == '-' ? 1 : 0;
  if (text.size() > digits + 1 && text[digits] == '0') return {};  // octal, hexadecimal: ambiguous
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

bool to_boolean(const Node& node) {
  if (node.kind != Kind::Boolean) return false;
  switch (node.text[0]) {
    case 't':
    case 'T':
    case 'y':
    case 'Y':
      return true;
    case 'o':
    case 'O':
      return node.text.size() == 2;  // on, off
    default:
      return false;
  }
}

std::optional<uint32_t> to_mode(const Node& node) {
  std::string_view text = node.text;
  const bool octal = text.size() > 1 && text.front() == '0';
  if (octal) text.remove_prefix(text[1] == 'o' ? 2 : 1);
  uint32_t mode = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, mode, octal ? 8 : 10);
  if (text.empty() || error != std::errc() || at != end || mode > 0777) return {};
  return mode;
}

void Cursor::error(std::string message) const {
  findings_->error(path_.text(), node_->mark, std::move(message));
}

void Cursor::warning(std::string message) const {
  findings_->warning(path_.text(), node_->mark, std::move(message));
}

void Cursor::error_at(std::string_view field, std::string message) const {
  const Node* value = node_->find(field);
  findings_->error(Path(path_, field).text(), value != nullptr ? value->mark : node_->mark,
                   std::move(message));
}

void Cursor::warning_at(std::string_view field, std::string message) const {
  const Node* value = node_->find(field);
  findings_->warning(Path(path_, field).text(), value != nullptr ? value->mark : node_->mark,
                     std::move(message));
}

const Node* Cursor::get(std::string_view field) const {
  const Node* value = node_->find(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const Node* Cursor::get(std::string_view field, Kind kind) const {
  const Node* value = node_->find(field);
  return value == nullptr || value->kind != kind ? nullptr : value;
}

std::string_view Cursor::string(std::string_view field) const {
  const Node* value = get(field, Kind::String);
  return value == nullptr ? std::string_view() : value->text;
}

bool Cursor::boolean(std::string_view field, bool otherwise) const {
  const Node* value = get(field, Kind::Boolean);
  return value == nullptr ? otherwise : to_boolean(*value);
}

std::optional<int64_t> Cursor::integer(std::string_view field) const {
  const Node* value = get(field, Kind::Integer);
  return value == nullptr ? std::nullopt : to_integer(*value);
}

std::optional<int64_t> Cursor::integer_within(std::string_view field, int64_t least,
                                              int64_t most) const {
  const std::optional<int64_t> value = integer(field);
  if (!value || (*value >= least && *value <= most)) return value;
  error_at(field, "must be between " + std::to_string(least) + " and " + std::to_string(most));
  return {};
}

}  // namespace wherry::manifest
