// ConfigMap, Secret and PersistentVolumeClaim. No message here may hold a value.

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"
#include "runtime/image/docker_config.h"

namespace wherry::manifest {
namespace {

ConfigItem read_head(const Cursor& object) {
  ConfigItem item;
  item.place = object.place();
  object.with("metadata", [&](const Cursor& metadata) {
    std::map<std::string, std::string> labels, annotations;
    read_metadata(metadata, false, labels, annotations);
    item.name = metadata.string("name");
    if (metadata.get("name", Kind::String) == nullptr) return;
    const std::string_view problem = dns_subdomain_problem(item.name);
    if (!problem.empty()) metadata.error_at("name", std::string(problem));
  });
  return item;
}

void check_key(const Cursor& entry) {
  const std::string_view problem = config_key_problem(entry.node().key->text);
  if (!problem.empty()) entry.error(std::string(problem));
}

void read_credentials(const Cursor& object, ConfigItem& secret) {
  const std::string_view type = object.string("type");
  const bool legacy = type == "kubernetes.io/dockercfg";
  if (!legacy && type != "kubernetes.io/dockerconfigjson") return;
  secret.credentials.emplace();
  const std::string key = legacy ? ".dockercfg" : ".dockerconfigjson";
  const Node* plain = object.get("stringData", Kind::Map);
  const Node* coded = object.get("data", Kind::Map);
  const bool is_plain = plain != nullptr && plain->find(key) != nullptr;
  if (!is_plain && (coded == nullptr || coded->find(key) == nullptr)) {
    return object.error_at("data", "a Secret of type " + std::string(type) + " needs " + key);
  }
  const auto content = secret.data.find(key);
  if (content == secret.data.end()) return;  // it is no string, or no base64: that was said
  auto parsed = runtime::parse_pull_secret(content->second, legacy);
  if (parsed) {
    secret.credentials = std::move(*parsed);
    return;
  }
  object.with(is_plain ? "stringData" : "data",
              [&](const Cursor& data) { data.error_at(key, parsed.error().full()); });
}

}  // namespace

void read_claim_spec(const Cursor& spec, ClaimItem& claim) {
  const Node* modes = spec.get("accessModes", Kind::List);
  if (modes != nullptr && modes->count == 0) {
    spec.error_at("accessModes", "needs at least one, for example ReadWriteOnce");
  }
  spec.each("accessModes", Kind::String, [&](const Cursor& mode) {
    claim.one_pod = claim.one_pod || mode.node().text == "ReadWriteOncePod";
  });
  if (claim.one_pod && modes->count > 1) {
    spec.error_at("accessModes", "ReadWriteOncePod goes with no other mode");
  }
}

ClaimItem read_claim(const Cursor& object) {
  const ConfigItem head = read_head(object);
  ClaimItem claim{head.name, false, head.place};
  object.with("spec", [&](const Cursor& spec) { read_claim_spec(spec, claim); });
  return claim;
}

ConfigItem read_config_map(const Cursor& object) {
  ConfigItem item = read_head(object);
  object.each_string("data", [&](const Cursor& entry) {
    check_key(entry);
    item.data.emplace(entry.node().key->text, entry.node().text);
  });
  object.each_string("binaryData", [&](const Cursor& entry) {
    check_key(entry);
    std::optional<std::string> value = decode_base64(entry.node().text);
    if (!value) return entry.error("is not base64; encode the value, or put text under data");
    std::string key(entry.node().key->text);
    if (item.data.contains(key)) return entry.error("the same key is under data");
    item.binary.emplace(std::move(key), std::move(*value));
  });
  return item;
}

ConfigItem read_secret(const Cursor& object) {
  ConfigItem item = read_head(object);
  object.each_string("data", [&](const Cursor& entry) {
    check_key(entry);
    std::optional<std::string> value = decode_base64(entry.node().text);
    if (!value) {
      return entry.error("is not base64; encode the value, or put it as it is under stringData");
    }
    item.data.emplace(entry.node().key->text, std::move(*value));
  });
  object.each_string("stringData", [&](const Cursor& entry) {
    check_key(entry);
    item.data.insert_or_assign(std::string(entry.node().key->text), std::string(entry.node().text));
  });
  read_credentials(object, item);
  return item;
}

}  // namespace wherry::manifest
