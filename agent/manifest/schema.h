#pragma once
// Every field that a document may hold, as data: what it is, and what becomes of it here. The
// walker obeys this table and docs/kubernetes.md is tested against it, so the two cannot drift.
// Private to the manifest room and its tests.

#include <cstdint>
#include <span>
#include <string_view>

namespace wherry::manifest {

enum class Support : uint8_t {
  Honoured,
  Warned,   // ignored, with a warning: it cannot change what a workload does or may do
  Refused,  // an error: ignoring it could
};

enum class Type : uint8_t {
  String,
  Integer,
  Boolean,
  Quantity,   // string or number, as 500m or 64Mi
  Port,       // 1 to 65535, or a name
  Mode,       // permission bits, 0 to 0777; octal where it begins with 0, as YAML reads it
  Strings,    // list of strings
  Integers,   // list of integers
  StringMap,  // any keys, string values
  Object,     // fields in `of`
  Objects,    // list of them
  Any,        // not looked into
};

struct Schema;

struct Field {
  std::string_view name;
  Support support = Support::Honoured;
  Type type = Type::Any;
  const Schema* of = nullptr;
  // Honoured: the allowed values of a string, separated by '|' (none: any value). Warned, Refused:
  // values that say what happens here anyway, and so are accepted without a word ("{}": an empty
  // mapping). An empty list always is, and an empty mapping of what is warned about.
  std::string_view values = {};
  // For people. Refused: what to do instead. Warned: why it is safe. Honoured: where it differs.
  std::string_view note = {};
  bool required = false;
};

struct Schema {
  std::string_view name;  // as Kubernetes calls it
  std::span<const Field> fields;
  // Of names of the form domain/name, which no table can list; null: there are none here.
  const Field* domain_field = nullptr;
};

// Kubernetes kinds (and DesiredState), with the apiVersion they need.
struct KindEntry {
  std::string_view kind;
  std::string_view api_version;
  Support support;
  // Null where it is refused. Warned: what is refused of it all the same; the rest is not looked
  // into.
  const Schema* schema;
  std::string_view instead = {};  // Refused: what to do instead. Warned: why it is safe
};
std::span<const KindEntry> known_kinds();

extern const Schema kDesiredStateSchema;
extern const Schema kListSchema;
extern const Schema kPodSchema;
extern const Schema kPodTemplateSchema;
extern const Schema kTemplateMetaSchema;
extern const Schema kDeploymentSchema;
extern const Schema kDaemonSetSchema;
extern const Schema kStatefulSetSchema;
extern const Schema kJobSchema;
extern const Schema kJobSpecSchema;
extern const Schema kCronJobSchema;
extern const Schema kServiceSchema;
extern const Schema kServiceSpecSchema;
extern const Schema kPriorityClassSchema;
extern const Schema kConfigMapSchema;
extern const Schema kSecretSchema;
extern const Schema kObjectMetaSchema;
extern const Schema kPodSpecSchema;
extern const Schema kContainerSchema;
extern const Schema kProbeSchema;
extern const Schema kLifecycleSchema;
extern const Schema kVolumeSchema;
extern const Schema kClaimSpecSchema;
extern const Schema kClaimSchema;
extern const Schema kAffinitySchema;
extern const Schema kPodSecurityContextSchema;
extern const Schema kSecurityContextSchema;
extern const Schema kResourcesSchema;

// Annotations of ours, on a Pod.
std::span<const Field> known_annotations();

const Field* find_field(const Schema& schema, std::string_view name);
// Is `value` one of `values` ("a|b|c")?
bool is_one_of(std::string_view value, std::string_view values);

}  // namespace wherry::manifest
