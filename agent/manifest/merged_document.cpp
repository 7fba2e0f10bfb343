#include "agent/manifest/merged_document.h"

#include <map>

#include <nlohmann/json.hpp>

#include "agent/manifest/items.h"
#include "agent/manifest/node.h"
#include "agent/manifest/node_json.h"

namespace wherry {
namespace {

using manifest::Kind;
using manifest::Node;
using Json = nlohmann::ordered_json;

void forget_values(Json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end() || !found->is_object()) return;
  for (auto& [key, value] : found->items()) value = nullptr;
}

// Annotations, too: kubectl keeps a copy of the whole object in one.
Json shown(const Node& node) {
  Json object = manifest::to_json(node);
  if (object.value("kind", "") != "Secret") return object;
  forget_values(object, "data");
  forget_values(object, "stringData");
  if (const auto metadata = object.find("metadata");
      metadata != object.end() && metadata->is_object()) {
    forget_values(*metadata, "annotations");
  }
  return object;
}

std::string text_in(const Node* node) {
  return node != nullptr && node->kind == Kind::String ? std::string(node->text) : std::string();
}

class Collector {
 public:
  void add(const Source& source) {
    if (source.document == nullptr || !source.document->text) return;
    source_ = sources_.size();
    const Document& document = *source.document;
    sources_.push_back(
        {{"source", source.name}, {"revision", document.revision}, {"digest", document.digest}});
    if (document.items && !document.items->file.empty()) {
      sources_.back()["file"] = document.items->file;
    }
    const manifest::Tree tree = manifest::read_tree(*document.text);
    for (const Node* root : tree.documents) add_object(*root);
  }

  std::string text() {
    Json items = Json::array();
    for (Json& source : sources_) source["items"] = Json::array();
    for (Entry& entry : entries_) {
      sources_[entry.source]["items"].push_back(entry.name);
      items.push_back(std::move(entry.object));
    }
    const Json all{{"apiVersion", "wherry/v1"},
                   {"kind", "DesiredState"},
                   {"metadata", Json::object()},
                   {"spec", {{"items", std::move(items)}}},
                   {"sources", sources_}};
    return all.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 private:
  struct Entry {
    std::string name;
    size_t source;
    Json object;
  };

  // The parser has bounded how deep they lie in each other.
  void add_object(const Node& node) {
    const std::string kind = text_in(node.find("kind"));
    const Node* list = nullptr;
    if (kind == "DesiredState") {
      const Node* spec = node.find("spec");
      list = spec == nullptr ? nullptr : spec->find("items");
      if (list == nullptr) return;
    } else if (kind == "List") {
      list = node.find("items");
      if (list == nullptr) return;
    }
    if (list != nullptr) {
      for (const Node& item : *list) add_object(item);
      return;
    }
    const Node* metadata = node.find("metadata");
    const std::string name =
        kind + "/" + text_in(metadata == nullptr ? nullptr : metadata->find("name"));
    const auto [known, added] = places_.emplace(name, entries_.size());
    if (added) {
      entries_.push_back({name, source_, shown(node)});
    } else {
      entries_[known->second] = {name, source_, shown(node)};
    }
  }

  size_t source_ = 0;
  std::vector<Json> sources_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t> places_;
};

}  // namespace

std::string merged_document(const std::vector<Source>& sources) {
  Collector all;
  for (const Source& source : sources) all.add(source);
  return all.text();
}

}  // namespace wherry
