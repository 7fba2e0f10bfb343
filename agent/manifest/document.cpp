#include "agent/manifest/document.h"

#include "agent/manifest/cursor.h"
#include "agent/manifest/items.h"
#include "agent/manifest/schema.h"
#include "base/digest.h"
#include "base/text.h"

namespace wherry {
namespace {

using manifest::Cursor;
using manifest::Findings;
using manifest::Kind;
using manifest::KindEntry;
using manifest::Node;
using manifest::shown;
using manifest::Support;

// What an object says it is; errors where it does not.
const KindEntry* kind_of(const Cursor& object) {
  if (object.get("kind", Kind::String) == nullptr) {
    object.error_at("kind", "is required, and must be a string: for example Pod");
    return nullptr;
  }
  const std::string_view kind = object.string("kind");
  std::vector<std::string_view> names;
  for (const KindEntry& entry : manifest::known_kinds()) {
    names.push_back(entry.kind);
    if (entry.kind == kind) return &entry;
  }
  const std::string near = nearest(kind, names);
  object.error_at("kind", "unknown kind \"" + shown(kind) + "\"" +
                              (near.empty() ? "" : "; did you mean " + near + "?"));
  return nullptr;
}

OwnerKind owner_kind(std::string_view kind) {
  for (const OwnerKind each : {OwnerKind::Deployment, OwnerKind::DaemonSet, OwnerKind::StatefulSet,
                               OwnerKind::Job, OwnerKind::CronJob}) {
    if (to_string(each) == kind) return each;
  }
  return OwnerKind::None;
}

bool check_api_version(const Cursor& object, const KindEntry& kind) {
  const std::string_view version = object.string("apiVersion");
  if (version == kind.api_version) return true;
  const std::string wanted =
      "must be " + std::string(kind.api_version) + " for kind " + std::string(kind.kind);
  object.error_at("apiVersion", object.has("apiVersion") ? wanted : "is required: it " + wanted);
  return false;
}

class ItemsReader {
 public:
  explicit ItemsReader(ParsedItems& items) : items_(items) {}

  void read(const Cursor& object) {
    const std::string_view name = object.string("kind");
    if (name == "List") return read_list(object);
    if (name == "DesiredState") {
      return object.error_at("kind",
                             "a DesiredState cannot be an item: put its items here one by one");
    }
    const KindEntry* kind = kind_of(object);
    if (kind == nullptr) return;
    if (kind->support == Support::Refused) {
      const std::string instead(kind->instead);
      return object.error_at("kind", "kind " + std::string(kind->kind) +
                                         " is not supported by this version" +
                                         (instead.empty() ? "; docs/kubernetes.md lists those "
                                                            "that are"
                                                          : ": " + instead));
    }
    if (!check_api_version(object, *kind)) return;
    if (kind->support == Support::Warned) return read_ignored(object, *kind);
    manifest::check(object, *kind->schema);
    if (kind->kind == "Pod") {
      items_.pods.push_back(manifest::read_pod(object));
      remember(object, *kind, items_.pods.back().workload.name());
    } else if (const OwnerKind owner = owner_kind(kind->kind); owner != OwnerKind::None) {
      items_.controllers.push_back(manifest::read_controller(object, owner));
      remember(object, *kind, items_.controllers.back().spec.owner.name);
    } else if (kind->kind == "ConfigMap") {
      items_.config_maps.push_back(manifest::read_config_map(object));
      remember(object, *kind, items_.config_maps.back().name);
    } else if (kind->kind == "Service") {
      items_.services.push_back(manifest::read_service(object));
      remember(object, *kind, items_.services.back().spec.name);
    } else if (kind->kind == "PriorityClass") {
      items_.priority_classes.push_back(manifest::read_priority_class(object));
      remember(object, *kind, items_.priority_classes.back().name);
    } else if (kind->kind == "PersistentVolumeClaim") {
      items_.claims.push_back(manifest::read_claim(object));
      remember(object, *kind, items_.claims.back().name);
    } else {
      items_.secrets.push_back(manifest::read_secret(object));
      remember(object, *kind, items_.secrets.back().name);
    }
  }

 private:
  // An object without effect here, unless it says what may not be passed over.
  static void read_ignored(const Cursor& object, const KindEntry& kind) {
    for (const manifest::Field& field : kind.schema->fields) {
      const Node* value = object.get(field.name);
      if (value != nullptr) check_field(Cursor(object, field.name, *value), field);
    }
    if (kind.kind == "Namespace") refuse_restrictions(object);
    object.warning_at("kind",
                      "a " + std::string(kind.kind) + " is ignored: " + std::string(kind.instead));
  }

  static void refuse_restrictions(const Cursor& name_space) {
    name_space.with("metadata", [](const Cursor& metadata) {
      metadata.each_string("labels", [](const Cursor& label) {
        if (label.node().key->text != "pod-security.kubernetes.io/enforce") return;
        if (label.node().text == "privileged") return;
        label.error(
            "nothing here keeps Pods from more than this allows: write securityContext of each Pod "
            "as it demands, and leave it out");
      });
    });
  }

  // The tree is bounded in depth, and so are lists in lists.
  void read_list(const Cursor& list) {
    manifest::check(list, manifest::kListSchema);
    list.each("items", Kind::Map, [&](const Cursor& item) { read(item); });
  }

  // Names are unique for each kind.
  void remember(const Cursor& object, const KindEntry& kind, const std::string& name) {
    if (name.empty()) return;
    const uint32_t line = object.node().mark.line;
    const auto known = lines_.emplace(std::pair(kind.kind, name), line);
    if (known.second) return;
    object.with("metadata", [&](const Cursor& metadata) {
      metadata.error_at("name", "another " + std::string(kind.kind) + " is named \"" + shown(name) +
                                    "\", at line " + std::to_string(known.first->second));
    });
  }

  ParsedItems& items_;
  std::map<std::pair<std::string_view, std::string>, uint32_t> lines_;
};

bool is_target(std::string_view target) {
  for (const std::string_view prefix : {"devices/", "groups/", "local/"}) {
    if (target.substr(0, prefix.size()) != prefix) continue;
    const std::string_view id = target.substr(prefix.size());
    return !id.empty() && id.find_first_of("/+# \t\n") == std::string_view::npos;
  }
  return false;
}

void read_envelope(const Cursor& root, Document& document, ParsedItems& items) {
  manifest::check(root, manifest::kDesiredStateSchema);
  root.with("metadata", [&](const Cursor& metadata) {
    if (const auto revision = metadata.integer("revision")) {
      if (*revision < 1) metadata.error_at("revision", "must be a positive integer");
      document.revision = *revision < 1 ? 0 : static_cast<uint64_t>(*revision);
    }
    document.target = metadata.string("target");
    if (metadata.get("target", Kind::String) != nullptr && !is_target(document.target)) {
      metadata.error_at("target", "must be devices/<id>, groups/<group> or local/<id>");
    }
    if (metadata.get("expires", Kind::String) == nullptr) return;
    const Result<WallTime> expires = parse_rfc3339(shown(metadata.string("expires")));
    if (!expires) return metadata.error_at("expires", expires.error().message());
    document.expires = *expires;
  });
  root.with("spec", [&](const Cursor& spec) {
    ItemsReader reader(items);
    spec.each("items", Kind::Map, [&](const Cursor& item) { reader.read(item); });
  });
}

// What else than a DesiredState was sent where only one is understood.
void wrong_root(const Cursor& root) {
  const std::string_view kind = root.string("kind");
  if (kind.empty()) {
    return root.error_at("kind", "is required: apiVersion: wherry/v1, kind: DesiredState");
  }
  for (const KindEntry& entry : manifest::known_kinds()) {
    if (entry.kind != kind && kind != "List") continue;
    return root.error_at("kind", "a " + std::string(kind) +
                                     " cannot be sent by itself: put it under spec.items of a "
                                     "DesiredState");
  }
  const bool near = !nearest(kind, std::vector<std::string_view>{"DesiredState"}).empty();
  root.error_at("kind", "unknown kind \"" + shown(kind) + "\"" +
                            (near ? "; did you mean DesiredState?" : "; it must be DesiredState"));
}

bool expect_map(const Cursor& root) {
  if (root.node().is_map()) return true;
  root.error("the document is " + std::string(to_string(root.node().kind)) +
             ", not a mapping that begins with apiVersion and kind");
  return false;
}

// The text's tree, with its errors among the findings.
manifest::Tree read(std::string_view payload, Document& document, Findings& findings) {
  document.digest = sha256_digest(payload);
  document.text = std::make_shared<const std::string>(payload);
  manifest::Tree tree = manifest::read_tree(payload);
  for (manifest::TreeError& error : tree.errors) {
    findings.error(std::move(error.path), error.mark, std::move(error.message));
  }
  if (!tree.errors.empty()) tree.documents.clear();
  return tree;
}

Document finish(Document document, std::shared_ptr<ParsedItems> items, Findings& findings) {
  document.warnings = findings.take_warnings();
  document.errors = findings.take_errors();
  if (document.valid()) {
    document.items = std::move(items);
  } else {
    document.text.reset();
  }
  return document;
}

void read_local_object(const Cursor& object, ItemsReader& reader) {
  if (expect_map(object)) reader.read(object);
}

void read_local(const manifest::Tree& tree, Document& document, ParsedItems& items,
                Findings& findings) {
  if (tree.documents.size() == 1) {
    const Cursor root(*tree.documents.front(), findings);
    if (root.string("kind") == "DesiredState") return read_envelope(root, document, items);
    ItemsReader reader(items);
    return read_local_object(root, reader);
  }
  const Node all;  // the path's root: documents are counted from 0, as items are
  const Cursor root(all, findings);
  ItemsReader reader(items);
  for (size_t i = 0; i < tree.documents.size(); ++i) {
    const Cursor object(root, i, *tree.documents[i]);
    if (object.string("kind") == "DesiredState") {
      object.error_at("kind", "a DesiredState must be the only document of its file");
      continue;
    }
    read_local_object(object, reader);
  }
}

}  // namespace

Document parse_desired_state(std::string_view payload) {
  Document document;
  Findings findings;
  auto items = std::make_shared<ParsedItems>();
  const manifest::Tree tree = read(payload, document, findings);
  if (tree.documents.empty()) {
    if (tree.errors.empty()) {
      findings.error({}, {1, 1}, "the document is empty; to remove everything send items: []");
    }
    return finish(std::move(document), std::move(items), findings);
  }
  if (tree.documents.size() > 1) {
    const Cursor second(*tree.documents[1], findings);
    second.error("only one document may be sent; put all objects under spec.items");
  }
  const Cursor root(*tree.documents.front(), findings);
  if (expect_map(root)) {
    if (root.string("kind") == "DesiredState") {
      read_envelope(root, document, *items);
    } else {
      wrong_root(root);
    }
  }
  return finish(std::move(document), std::move(items), findings);
}

Document parse_local_manifest(std::string_view payload, const std::string& file_name) {
  Document document;
  Findings findings;
  auto items = std::make_shared<ParsedItems>();
  items->file = file_name;
  const manifest::Tree tree = read(payload, document, findings);
  read_local(tree, document, *items, findings);
  return finish(std::move(document), std::move(items), findings);
}

}  // namespace wherry
