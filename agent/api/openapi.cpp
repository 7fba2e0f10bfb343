#include "agent/api/openapi.h"

#include <array>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "openapi_files.h"

namespace wherry {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kSchemas{
    {{"reported-state", files::reported_state_schema_json},
     {"command", files::command_schema_json},
     {"batch", files::batch_schema_json}}};

std::string_view text_of(const std::string& name) {
  for (const auto& [known, text] : kSchemas) {
    if (known == name) return text;
  }
  throw std::logic_error("configs/openapi.json refers to " + name + ", which is not embedded");
}

// Makes references into other files, and those within `home`, lead to the components.
void take_in(Json& node, const std::string& home, Json& components) {
  if (node.is_structured()) {
    for (Json& child : node) take_in(child, home, components);
  }
  if (!node.is_object() || !node.contains("$ref") || !node["$ref"].is_string()) return;
  const auto ref = node["$ref"].get<std::string>();
  const size_t hash = std::min(ref.find('#'), ref.size());
  constexpr std::string_view kHere = "./", kKind = ".schema.json";
  std::string name = home;
  if (hash > 0) name = ref.substr(kHere.size(), hash - kHere.size() - kKind.size());
  if (name.empty()) return;
  const std::string pointer = hash < ref.size() ? ref.substr(hash + 1) : std::string();
  node["$ref"] = "#/components/schemas/" + name + pointer;
  if (components.contains(name)) return;
  components[name] = nullptr;  // it is being looked at
  Json schema = Json::parse(text_of(name));
  schema.erase("$schema");  // the dialect of OpenAPI 3.1 is the same
  take_in(schema, name, components);
  components[name] = std::move(schema);
}

}  // namespace

std::string openapi_document() {
  Json document = Json::parse(files::openapi_json);
  Json components = Json::object();
  take_in(document, "", components);
  document["components"]["schemas"].update(components);
  return document.dump();
}

}  // namespace wherry
