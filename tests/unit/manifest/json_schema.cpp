#include "tests/unit/manifest/json_schema.h"

#include <map>
#include <set>
#include <string>

#include "agent/manifest/schema.h"

namespace wherry::manifest {
namespace {

using Json = nlohmann::ordered_json;

class Writer {
 public:
  Json run() {
    Json root{{"$schema", "http://json-schema.org/draft-07/schema#"},
              {"title", "Wherry DesiredState"},
              {"$comment", "Written from the validator's table by unit_manifest; do not edit."}};
    root.update(reference(kDesiredStateSchema));
    define_item();
    Json definitions = Json::object();
    for (auto& [name, definition] : definitions_) definitions[name] = std::move(definition);
    root["definitions"] = std::move(definitions);
    return root;
  }

 private:
  Json reference(const Schema& schema) {
    const std::string name(schema.name);
    if (done_.insert(&schema).second) {
      Json made = object(schema);
      definitions_[name] = std::move(made);
    }
    return {{"$ref", "#/definitions/" + name}};
  }

  Json object(const Schema& schema) {
    Json properties = Json::object();
    Json required = Json::array();
    for (const Field& field : schema.fields) {
      properties[std::string(field.name)] = property(field, schema);
      if (field.required) required.push_back(field.name);
    }
    Json json{{"type", "object"}};
    if (!required.empty()) json["required"] = std::move(required);
    json["properties"] = std::move(properties);
    if (schema.domain_field != nullptr) {
      json["patternProperties"] = {{"/", property(*schema.domain_field, schema)}};
    }
    json["additionalProperties"] = false;
    return json;
  }

  Json property(const Field& field, const Schema& owner) {
    Json json;
    if (field.support == Support::Refused) json = refused(field);
    if (field.support == Support::Warned) json = of_type(field);
    if (field.support == Support::Honoured) json = honoured(field, owner);
    std::string note(field.note);
    if (field.support == Support::Warned) note = "Ignored: " + note;
    if (field.support == Support::Refused) note = "Not supported: " + note;
    if (!note.empty()) json["description"] = note;
    return json;
  }

  // null is the same as leaving the field out.
  static Json nullable(Json json, const Field& field) {
    if (field.required) return json;
    return {{"anyOf", {{{"type", "null"}}, std::move(json)}}};
  }

  // Not looked into.
  static Json of_type(const Field& field) {
    switch (field.type) {
      case Type::String:
        return nullable({{"type", "string"}}, field);
      case Type::Integer:
        return nullable({{"type", "integer"}}, field);
      case Type::Boolean:
        return nullable({{"type", "boolean"}}, field);
      case Type::Strings:
      case Type::Objects:
        return nullable({{"type", "array"}}, field);
      case Type::Object:
        return nullable({{"type", "object"}}, field);
      default:
        return Json::object();
    }
  }

  Json honoured(const Field& field, const Schema& owner) {
    const bool items = field.name == "items" && field.of == nullptr;
    switch (field.type) {
      case Type::String:
        return nullable(text(field), field);
      case Type::Integer:
      case Type::Mode:
        return nullable({{"type", "integer"}}, field);
      case Type::Boolean:
        return nullable({{"type", "boolean"}}, field);
      case Type::Port:
        return nullable({{"type", {"integer", "string"}}}, field);
      case Type::Quantity:
        return nullable({{"type", {"string", "number"}}}, field);
      case Type::Strings:
        return nullable({{"type", "array"}, {"items", text(field)}}, field);
      case Type::Integers:
        return nullable({{"type", "array"}, {"items", {{"type", "integer"}}}}, field);
      case Type::StringMap:
        return nullable({{"type", "object"}, {"additionalProperties", {{"type", "string"}}}},
                        field);
      case Type::Object:
        return nullable(field.of == nullptr ? Json{{"type", "object"}} : reference(*field.of),
                        field);
      case Type::Objects: {
        Json of{{"type", "object"}};
        if (items) of = {{"$ref", "#/definitions/Item"}};
        if (field.of != nullptr) of = reference(*field.of);
        return nullable({{"type", "array"}, {"items", std::move(of)}}, field);
      }
      case Type::Any:
        break;
    }
    static_cast<void>(owner);
    return Json::object();
  }

  static Json text(const Field& field) {
    return field.values.empty() ? Json{{"type", "string"}} : Json{{"enum", values(field)}};
  }

  static Json values(const Field& field) {
    Json list = Json::array();
    for (std::string_view rest = field.values;;) {
      const size_t bar = rest.find('|');
      list.push_back(rest.substr(0, bar));
      if (bar == std::string_view::npos) return list;
      rest.remove_prefix(bar + 1);
    }
  }

  // Only what asks for nothing.
  static Json refused(const Field& field) {
    Json allowed = Json::array({nullptr});
    if (!field.values.empty()) {
      for (const Json& value : values(field)) {
        const auto text = value.get<std::string>();
        if (text == "{}") {
          allowed.push_back(Json::object());
        } else if (field.type == Type::Boolean) {
          allowed.push_back(text == "true");
        } else if (field.type == Type::Integer) {
          allowed.push_back(std::stoi(text));
        } else {
          allowed.push_back(value);
        }
      }
    }
    if (field.type == Type::Any) allowed.push_back(Json::array());
    return {{"enum", std::move(allowed)}};
  }

  static Json is_kind(std::string_view kind) {
    return {{"properties", {{"kind", {{"const", kind}}}}}, {"required", {"kind"}}};
  }

  Json ignored(const KindEntry& kind) {
    Json properties{{"apiVersion", {{"const", kind.api_version}}}};
    for (const Field& field : kind.schema->fields) {
      properties[std::string(field.name)] = property(field, *kind.schema);
    }
    return {{"description", "Ignored: " + std::string(kind.instead)}, {"properties", properties}};
  }

  void define_item() {
    Json kinds = Json::array();
    Json cases = Json::array();
    const auto add = [&](std::string_view kind, const Schema& schema) {
      kinds.push_back(kind);
      cases.push_back({{"if", is_kind(kind)}, {"then", reference(schema)}});
    };
    for (const KindEntry& entry : known_kinds()) {
      if (entry.support == Support::Honoured) add(entry.kind, *entry.schema);
      if (entry.support != Support::Warned) continue;
      kinds.push_back(entry.kind);
      cases.push_back({{"if", is_kind(entry.kind)}, {"then", ignored(entry)}});
    }
    add("List", kListSchema);
    definitions_["Item"] = {{"type", "object"},
                            {"required", {"apiVersion", "kind"}},
                            {"properties", {{"kind", {{"enum", std::move(kinds)}}}}},
                            {"allOf", std::move(cases)}};
  }

  std::set<const Schema*> done_;
  std::map<std::string, Json> definitions_;
};

}  // namespace

Json desired_state_schema() { return Writer().run(); }

}  // namespace wherry::manifest
