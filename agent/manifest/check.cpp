// Walks a value beside the table of fields.

#include <algorithm>
#include <vector>

#include "agent/manifest/cursor.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry::manifest {
namespace {

constexpr std::string_view kUnsupported = "not supported by this version";

std::string quoted(std::string_view text) { return '"' + shown(text) + '"'; }

// What a value of a type is, for people.
std::string_view words_of(Type type) {
  switch (type) {
    case Type::String:
      return "a string";
    case Type::Integer:
    case Type::Mode:
      return "an integer";
    case Type::Boolean:
      return "true or false";
    case Type::Quantity:
      return "a quantity such as 500m or 64Mi";
    case Type::Port:
      return "a number or a name";
    case Type::Strings:
    case Type::Integers:
    case Type::Objects:
      return "a list";
    case Type::StringMap:
    case Type::Object:
      return "a mapping";
    case Type::Any:
      break;
  }
  return "";
}

bool is_of(Type type, Kind kind) {
  switch (type) {
    case Type::String:
      return kind == Kind::String;
    case Type::Integer:
    case Type::Mode:
      return kind == Kind::Integer;
    case Type::Boolean:
      return kind == Kind::Boolean;
    case Type::Quantity:
      return kind == Kind::String || kind == Kind::Integer || kind == Kind::Float;
    case Type::Port:
      return kind == Kind::String || kind == Kind::Integer;
    case Type::Strings:
    case Type::Integers:
    case Type::Objects:
      return kind == Kind::List;
    case Type::StringMap:
    case Type::Object:
      return kind == Kind::Map;
    case Type::Any:
      break;
  }
  return true;
}

// Never the value itself: it may be a secret.
std::string wrong_type(Kind kind, std::string_view wanted) {
  std::string message = "must be " + std::string(wanted) + ", not " + std::string(to_string(kind));
  const bool word = kind == Kind::Boolean || kind == Kind::Integer || kind == Kind::Float;
  if (wanted == "a string" && word) message += "; put the value in quotes";
  if (wanted == "an integer" && kind == Kind::String) message += "; remove the quotes";
  if (wanted == "an integer" && kind == Kind::Float) message = "must be a whole number";
  if (wanted == "true or false" && kind == Kind::String) message += "; remove the quotes";
  if (wanted == "a list" && kind == Kind::Map) message += "; begin each entry with \"- \"";
  return message;
}

bool expect(const Cursor& at, Type type) {
  if (is_of(type, at.node().kind)) return true;
  at.error(wrong_type(at.node().kind, words_of(type)));
  return false;
}

void check_integer(const Cursor& at) {
  if (!expect(at, Type::Integer) || to_integer(at.node())) return;
  at.error("must be a decimal integer without leading zeros, between -2^63 and 2^63 - 1");
}

void check_string(const Cursor& at, const Field& field) {
  if (!expect(at, Type::String)) return;
  if (field.values.empty() || is_one_of(at.node().text, field.values)) return;
  const std::vector<std::string> allowed = split(field.values, '|');
  std::string list;
  std::vector<std::string_view> candidates;
  for (const std::string& value : allowed) {
    if (value.empty()) continue;
    list += (list.empty() ? "" : ", ") + value;
    candidates.emplace_back(value);
  }
  std::string message = quoted(at.node().text) + " is not allowed here: it must be ";
  message += candidates.size() > 1 ? "one of " + list : list;
  const std::string near = nearest(at.node().text, candidates);
  if (!near.empty() && candidates.size() > 1) message += "; did you mean " + near + "?";
  if (field.note.find(kUnsupported) != std::string_view::npos) {
    message += "; " + std::string(field.note);
  }
  at.error(std::move(message));
}

void check_quantity(const Cursor& at) {
  if (!expect(at, Type::Quantity)) return;
  const Result<int64_t> value = parse_quantity_milli(shown(at.node().text));
  if (!value) at.error(value.error().message());
}

void check_mode(const Cursor& at) {
  if (!expect(at, Type::Mode) || to_mode(at.node())) return;
  at.error("must be permission bits: 0 to 0777 where it begins with 0, or 0 to 511");
}

void check_list(const Cursor& at, const Field& field) {
  if (!expect(at, field.type)) return;
  size_t index = 0;
  for (const Node& item : at.node()) {
    const Cursor entry(at, index++, item);
    if (field.type == Type::Strings) {
      check_string(entry, field);
    } else if (field.type == Type::Integers) {
      check_integer(entry);
    } else if (expect(entry, Type::Object) && field.of != nullptr) {
      check(entry, *field.of);
    }
  }
}

void check_string_map(const Cursor& at) {
  if (!expect(at, Type::StringMap)) return;
  for (const Node& item : at.node()) {
    const Cursor entry(at, item.key->text, item);
    if (item.is_null()) {
      entry.error("has no value; write \"\" for an empty one");
    } else {
      expect(entry, Type::String);
    }
  }
}

void check_value(const Cursor& at, const Field& field) {
  switch (field.type) {
    case Type::String:
      return check_string(at, field);
    case Type::Integer:
      return check_integer(at);
    case Type::Boolean:
      return static_cast<void>(expect(at, Type::Boolean));
    case Type::Quantity:
      return check_quantity(at);
    case Type::Port:
      if (expect(at, Type::Port) && at.node().kind == Kind::Integer) check_integer(at);
      return;
    case Type::Mode:
      return check_mode(at);
    case Type::Strings:
    case Type::Integers:
    case Type::Objects:
      return check_list(at, field);
    case Type::StringMap:
      return check_string_map(at);
    case Type::Object:
      if (expect(at, Type::Object) && field.of != nullptr) check(at, *field.of);
      return;
    case Type::Any:
      return;
  }
}

bool asks_for_nothing(const Node& node, const Field& field) {
  if (node.is_list()) return node.count == 0;
  if (node.is_map()) {
    return node.count == 0 && (field.support == Support::Warned || is_one_of("{}", field.values));
  }
  if (node.kind == Kind::Boolean) {
    return is_one_of(to_boolean(node) ? "true" : "false", field.values);
  }
  return is_one_of(node.text, field.values);
}

std::string refusal(const Field& field) {
  const std::string name(field.name);
  const std::string note(field.note);
  const size_t at = note.find(kUnsupported);
  if (at == 0) return name + " is " + note;
  if (at != std::string::npos) return name + ": " + note;
  return name + " is " + std::string(kUnsupported) + ": " + note;
}

// Where a field of a Pod is put on the wrong level, the level it belongs to.
std::string_view owner_of(std::string_view name, const Schema& used_in) {
  const Schema* const levels[] = {&kPodSchema,       &kPodSpecSchema,         &kContainerSchema,
                                  &kResourcesSchema, &kSecurityContextSchema, &kObjectMetaSchema};
  const auto* const end = std::end(levels);
  if (std::find(std::begin(levels), end, &used_in) == end) return {};
  for (const Schema* level : levels) {
    if (find_field(*level, name) != nullptr) return level->name;
  }
  return {};
}

void unknown_field(const Cursor& object, const Node& value, const Schema& schema) {
  const std::string_view name = value.key->text;
  const Cursor at(object, name, value);
  const auto say = [&](std::string message) {
    object.findings().error(at.place().path, value.key->mark, std::move(message));
  };
  if (object.findings().full()) return say({});  // only counted
  std::string message = "unknown field " + quoted(name);
  std::vector<std::string_view> names;
  names.reserve(schema.fields.size());
  for (const Field& field : schema.fields) names.push_back(field.name);
  const std::string_view owner = owner_of(name, schema);
  const std::string near = nearest(name, names);
  if (!owner.empty()) {
    message += " in " + std::string(schema.name) + "; it belongs to " + std::string(owner) +
               ": check the indentation";
  } else if (!near.empty()) {
    message += "; did you mean \"" + near + "\"?";
  } else {
    message += " in " + std::string(schema.name);
  }
  say(std::move(message));
}

}  // namespace

void check_field(const Cursor& at, const Field& field) {
  if (field.support == Support::Honoured) return check_value(at, field);
  const Kind kind = at.node().kind;
  const bool refused = field.support == Support::Refused;
  if (!is_of(field.type, kind)) {
    // Both at once, so that nobody mends the type of what is refused then.
    const std::string also = refused ? "; besides, " + refusal(field) : "";
    return at.error(wrong_type(kind, words_of(field.type)) + also);
  }
  if (asks_for_nothing(at.node(), field)) return;
  if (refused) return at.error(refusal(field));
  at.warning(std::string(field.name) + " is ignored: " + std::string(field.note));
}

void check(const Cursor& object, const Schema& schema) {
  for (const Node& value : object.node()) {
    const Field* field = find_field(schema, value.key->text);
    const bool of_domain = value.key->text.find('/') != std::string_view::npos;
    if (field == nullptr && of_domain) field = schema.domain_field;
    if (field == nullptr) {
      unknown_field(object, value, schema);
    } else if (!value.is_null()) {
      check_field(Cursor(object, value.key->text, value), *field);
    }
  }
  for (const Field& field : schema.fields) {
    if (field.required && !object.has(field.name)) {
      object.error_at(field.name, "is required");
    }
  }
}

}  // namespace wherry::manifest
