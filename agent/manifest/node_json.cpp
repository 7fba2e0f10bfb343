#include "agent/manifest/node_json.h"

#include <nlohmann/json.hpp>

#include "agent/manifest/cursor.h"

namespace wherry::manifest {

nlohmann::ordered_json to_json(const Node& node) {
  nlohmann::ordered_json json;
  switch (node.kind) {
    case Kind::Null:
      break;
    case Kind::Boolean:
      json = to_boolean(node);
      break;
    case Kind::Integer:
      if (const auto number = to_integer(node)) {
        json = *number;
        break;
      }
      // Permission bits, which YAML may have in octal and JSON may not.
      if (node.key != nullptr && (node.key->text == "mode" || node.key->text == "defaultMode")) {
        if (const auto mode = to_mode(node)) {
          json = *mode;
          break;
        }
      }
      [[fallthrough]];
    case Kind::Float:
    case Kind::String:
      json = std::string(node.text);
      break;
    case Kind::List:
      json = nlohmann::ordered_json::array();
      for (const Node& item : node) json.push_back(to_json(item));
      break;
    case Kind::Map:
      json = nlohmann::ordered_json::object();
      for (const Node& item : node) json[std::string(item.key->text)] = to_json(item);
      break;
  }
  return json;
}

}  // namespace wherry::manifest
