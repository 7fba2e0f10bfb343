#include "agent/manifest/without_secrets.h"

#include <nlohmann/json.hpp>

#include "agent/manifest/cursor.h"
#include "agent/manifest/node.h"
#include "base/base64.h"

namespace wherry {
namespace {

using Json = nlohmann::ordered_json;
using manifest::Kind;
using manifest::Node;

bool is_secret(const Node& node) {
  const Node* kind = node.find("kind");
  return kind != nullptr && kind->is_scalar() && kind->text == "Secret";
}

Json scalar(const Node& node) {
  if (node.is_null()) return nullptr;
  if (node.kind == Kind::Boolean) return manifest::to_boolean(node);
  if (node.kind == Kind::Integer) {
    if (const auto number = manifest::to_integer(node)) return *number;
  }
  return node.text;
}

// Everything of it that is not known to be harmless is left out.
Json bare(const Node& node, bool harmless) {
  if (node.is_map()) {
    Json json = Json::object();
    for (const Node& child : node) json[std::string(child.key->text)] = bare(child, harmless);
    return json;
  }
  if (harmless && node.is_scalar()) return scalar(node);
  return kLeftOut;
}

Json secret(const Node& node) {
  Json json = Json::object();
  for (const Node& child : node) {
    const std::string name(child.key->text);
    const bool is_word =
        name == "apiVersion" || name == "kind" || name == "type" || name == "immutable";
    if (name != "metadata" || !child.is_map()) {
      json[name] = bare(child, is_word);
      continue;
    }
    // Of annotations only the keys: tools keep the whole object in one of them.
    for (const Node& part : child) {
      json[name][std::string(part.key->text)] = bare(part, part.key->text != "annotations");
    }
  }
  return json;
}

Json to_json(const Node& node) {
  if (is_secret(node)) return secret(node);
  if (node.is_scalar()) return scalar(node);
  Json json = node.is_map() ? Json::object() : Json::array();
  for (const Node& child : node) {
    if (node.is_map()) {
      json[std::string(child.key->text)] = to_json(child);
    } else {
      json.push_back(to_json(child));
    }
  }
  return json;
}

constexpr std::string_view kSpace = " \t\r\n";  // which decode_base64() skips

void gather_values(const Node& node, std::vector<std::string>& values) {
  if (!is_secret(node)) {
    for (const Node& child : node) gather_values(child, values);
    return;
  }
  for (const char* field : {"data", "stringData"}) {
    const Node* entries = node.find(field);
    if (entries == nullptr || !entries->is_map()) continue;
    for (const Node& entry : *entries) {
      if (!entry.is_scalar()) continue;
      values.emplace_back(entry.text);
      if (field[0] != 'd') continue;
      std::string unfolded(entry.text);
      std::erase_if(unfolded, [](char c) { return kSpace.find(c) != std::string_view::npos; });
      if (auto decoded = base64_decode(unfolded)) values.push_back(std::move(*decoded));
    }
  }
}

}  // namespace

std::string without_secrets(std::string_view document) {
  const manifest::Tree tree = manifest::read_tree(document);
  if (!tree.errors.empty()) return {};
  std::string text;
  for (const Node* each : tree.documents) {
    text += to_json(*each).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return text;
}

std::vector<std::string> secret_values(std::string_view document) {
  const manifest::Tree tree = manifest::read_tree(document);
  std::vector<std::string> values;
  if (!tree.errors.empty()) return values;
  for (const Node* each : tree.documents) gather_values(*each, values);
  return values;
}

}  // namespace wherry
