#pragma once
// A value of the tree together with its path: what the readers of objects hold. The table-driven
// check() has already reported wrong types and unknown fields, so the getters stay silent about
// them and give nothing. Private to this room.

#include <optional>
#include <string>
#include <string_view>

#include "agent/manifest/findings.h"
#include "agent/manifest/node.h"
#include "agent/manifest/schema.h"

namespace wherry::manifest {

// Refers to its parent: both stay where they are while in use.
class Cursor {
 public:
  Cursor(const Node& node, Findings& findings) : node_(&node), findings_(&findings) {}
  Cursor(const Cursor& parent, std::string_view key, const Node& node)
      : node_(&node), findings_(parent.findings_), path_(parent.path_, key) {}
  Cursor(const Cursor& parent, size_t index, const Node& node)
      : node_(&node), findings_(parent.findings_), path_(parent.path_, index) {}
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  const Node& node() const { return *node_; }
  Findings& findings() const { return *findings_; }
  Place place() const { return {path_.text(), node_->mark}; }

  void error(std::string message) const;
  void warning(std::string message) const;
  // About one field; at its place, or at this value's where the field is missing.
  void error_at(std::string_view field, std::string message) const;
  void warning_at(std::string_view field, std::string message) const;

  // The field's value; null where it is missing or null.
  const Node* get(std::string_view field) const;
  const Node* get(std::string_view field, Kind kind) const;
  bool has(std::string_view field) const { return get(field) != nullptr; }
  std::string_view string(std::string_view field) const;  // "" where missing
  bool boolean(std::string_view field, bool otherwise = false) const;
  std::optional<int64_t> integer(std::string_view field) const;
  // The number where it is within [least, most]; an error and nothing where it is not.
  std::optional<int64_t> integer_within(std::string_view field, int64_t least, int64_t most) const;

  // Calls `body(Cursor&)` with the value of an object field, if there is one.
  template <typename Body>
  void with(std::string_view field, Body body) const {
    const Node* value = get(field, Kind::Map);
    if (value == nullptr) return;
    const Cursor child(*this, field, *value);
    body(child);
  }
  // With each entry of a list field that is of this kind.
  template <typename Body>
  void each(std::string_view field, Kind kind, Body body) const {
    const Node* list = get(field, Kind::List);
    if (list == nullptr) return;
    const Cursor all(*this, field, *list);
    size_t index = 0;
    for (const Node& item : *list) {
      const Cursor child(all, index++, item);
      if (item.kind == kind) body(child);
    }
  }
  // With each string of a map field; the key is node().key.
  template <typename Body>
  void each_string(std::string_view field, Body body) const {
    const Node* map = get(field, Kind::Map);
    if (map == nullptr) return;
    const Cursor all(*this, field, *map);
    for (const Node& item : *map) {
      const Cursor child(all, item.key->text, item);
      if (item.kind == Kind::String) body(child);
    }
  }

 private:
  const Node* node_;
  Findings* findings_;
  Path path_;
};

// Types, unknown fields, allowed values and support, by the table. `object` is a map.
void check(const Cursor& object, const Schema& schema);
// The same for one value. It is not null.
void check_field(const Cursor& value, const Field& field);

std::optional<int64_t> to_integer(const Node& node);  // decimal only
bool to_boolean(const Node& node);
std::optional<uint32_t> to_mode(const Node& node);  // 0 to 0777; 0644 and 0o644 are octal

}  // namespace wherry::manifest
