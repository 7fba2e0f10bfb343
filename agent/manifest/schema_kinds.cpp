// The kinds, the envelope, metadata, and the objects that hold configuration.

#include "agent/manifest/schema.h"

namespace wherry::manifest {
namespace {

using enum Support;

constexpr std::string_view kServerSet = "Kubernetes' API server writes it; there is none here";

constexpr Field kUpdate[] = {
    {"mode", Honoured, Type::String, nullptr, "independent",
     "each workload is updated on its own; other modes are not supported by this version"},
    {"onFailure", Refused, Type::String, nullptr, "keep",
     "rolling back is not supported by this version: leave it out, or write keep (a failed update "
     "stays as it is and is retried)"},
    {"probation",
     Refused,
     Type::String,
     nullptr,
     {},
     "it belongs to rolling back, which this version does not support: leave it out"},
    {"deadline",
     Refused,
     Type::String,
     nullptr,
     {},
     "it belongs to rolling back, which this version does not support: leave it out"},
};
constexpr Schema kUpdateSchema{"DesiredState.spec.update", kUpdate};

constexpr Field kEnvelopeMetadata[] = {
    {"revision",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "a positive integer; it must grow for each topic",
     true},
    {"target", Honoured, Type::String, nullptr, {}, "devices/<id> or groups/<group>"},
    {"expires",
     Honoured,
     Type::String,
     nullptr,
     {},
     "RFC 3339, as in 2027-01-01T00:00:00Z; not accepted after this"},
};
constexpr Schema kEnvelopeMetadataSchema{"DesiredState.metadata", kEnvelopeMetadata};

constexpr Field kEnvelopeSpec[] = {
    {"update", Honoured, Type::Object, &kUpdateSchema},
    {"items",
     Honoured,
     Type::Objects,
     nullptr,
     {},
     "Kubernetes objects of the kinds below; [] removes everything",
     true},
};
constexpr Schema kEnvelopeSpecSchema{"DesiredState.spec", kEnvelopeSpec};

constexpr Field kDesiredState[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "wherry/v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "DesiredState", {}, true},
    {"metadata", Honoured, Type::Object, &kEnvelopeMetadataSchema, {}, {}, true},
    {"spec", Honoured, Type::Object, &kEnvelopeSpecSchema, {}, {}, true},
};

constexpr Field kList[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "List", {}, true},
    {"metadata", Warned, Type::Any, nullptr, {}, kServerSet},
    {"items", Honoured, Type::Objects, nullptr, {}, {}, true},
};

constexpr Field kObjectMeta[] = {
    {"name",
     Honoured,
     Type::String,
     nullptr,
     {},
     "of a Pod: a DNS label (at most 63 of a-z, 0-9 and -), the workload's identity",
     true},
    {"labels",
     Honoured,
     Type::StringMap,
     nullptr,
     {},
     "readable through fieldRef; Services choose Pods by them"},
    {"annotations",
     Honoured,
     Type::StringMap,
     nullptr,
     {},
     "readable through fieldRef; names under wherry/ are those of the table below"},
    {"namespace", Warned, Type::String, nullptr, "default", "a device has one namespace only"},
    {"generateName",
     Refused,
     Type::String,
     nullptr,
     {},
     "a workload is known by its name: write name"},
    {"finalizers", Warned, Type::Any, nullptr, {}, kServerSet},
    {"ownerReferences", Warned, Type::Any, nullptr, {}, kServerSet},
    {"creationTimestamp", Warned, Type::Any, nullptr, {}, kServerSet},
    {"deletionTimestamp", Warned, Type::Any, nullptr, {}, kServerSet},
    {"deletionGracePeriodSeconds", Warned, Type::Any, nullptr, {}, kServerSet},
    {"generation", Warned, Type::Any, nullptr, {}, kServerSet},
    {"managedFields", Warned, Type::Any, nullptr, {}, kServerSet},
    {"resourceVersion", Warned, Type::Any, nullptr, {}, kServerSet},
    {"selfLink", Warned, Type::Any, nullptr, {}, kServerSet},
    {"uid", Warned, Type::Any, nullptr, {}, kServerSet},
};

constexpr Field kPod[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "Pod", {}, true},
    {"metadata", Honoured, Type::Object, &kObjectMetaSchema, {}, {}, true},
    {"spec", Honoured, Type::Object, &kPodSpecSchema, {}, {}, true},
    {"status", Warned, Type::Any, nullptr, {}, "the agent reports the state; it does not read it"},
};

constexpr Field kConfigMap[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "ConfigMap", {}, true},
    {"metadata", Honoured, Type::Object, &kObjectMetaSchema, {}, {}, true},
    {"data", Honoured, Type::StringMap, nullptr, {}, "readable as environment and in volumes"},
    {"binaryData", Honoured, Type::StringMap, nullptr, {}, "base64; shows in volumes only"},
    {"immutable", Warned, Type::Boolean, nullptr, "false", "a change is applied all the same"},
};

constexpr Field kSecret[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "Secret", {}, true},
    {"metadata", Honoured, Type::Object, &kObjectMetaSchema, {}, {}, true},
    {"type",
     Honoured,
     Type::String,
     nullptr,
     {},
     "any; imagePullSecrets can name kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg"},
    {"data",
     Honoured,
     Type::StringMap,
     nullptr,
     {},
     "base64; readable as environment and in volumes"},
    {"stringData", Honoured, Type::StringMap, nullptr, {}, "plain text; wins over data"},
    {"immutable", Warned, Type::Boolean, nullptr, "false", "a change is applied all the same"},
};

constexpr Field kAnnotations[] = {
    {"wherry/depends-on",
     Honoured,
     Type::String,
     nullptr,
     {},
     "names of workloads, separated by commas: started before this one, stopped after it"},
    {"wherry/update-strategy", Honoured, Type::String, nullptr, "pull-first|delete-first",
     "handover is not supported by this version"},
    {"wherry/data-api", Honoured, Type::String, nullptr, "true|false|",
     "true: a socket to hand in data, at $WHERRY_DATA_SOCKET"},
    {"wherry/log-forward", Refused, Type::String, nullptr, "none|false|",
     "forwarding logs is not supported by this version: leave it out"},
    {"cdi.k8s.io/...",
     Honoured,
     Type::String,
     nullptr,
     {},
     "CDI devices for every container of the Pod, as `vendor.com/class=name`, separated by commas, "
     "see devices.md"},
};

constexpr std::string_view kNoApi = "leave it out: there is no API server to grant access to";
constexpr KindEntry kKinds[] = {
    {"Pod", "v1", Honoured, &kPodSchema},
    {"ConfigMap", "v1", Honoured, &kConfigMapSchema},
    {"Secret", "v1", Honoured, &kSecretSchema},
    {"PersistentVolumeClaim", "v1", Honoured, &kClaimSchema},
    {"Job", "batch/v1", Honoured, &kJobSchema},
    {"CronJob", "batch/v1", Honoured, &kCronJobSchema},
    {"Deployment", "apps/v1", Honoured, &kDeploymentSchema},
    {"DaemonSet", "apps/v1", Honoured, &kDaemonSetSchema},
    {"StatefulSet", "apps/v1", Honoured, &kStatefulSetSchema},
    {"Service", "v1", Honoured, &kServiceSchema},
    {"ReplicaSet", "apps/v1", Refused, nullptr, "use a Deployment"},
    {"ReplicationController", "v1", Refused, nullptr, "use a Deployment"},
    {"Ingress", "networking.k8s.io/v1", Refused, nullptr, "use hostPort of a container"},
    {"NetworkPolicy", "networking.k8s.io/v1", Refused, nullptr, "restrict traffic on the device"},
    {"Namespace", "v1", Refused, nullptr, "leave it out: a device has one namespace only"},
    {"PersistentVolume", "v1", Refused, nullptr,
     "use hostPath for what lies on the device already, or a claim alone"},
    {"StorageClass", "storage.k8s.io/v1", Refused, nullptr,
     "leave it out: a device has one kind of storage, its own disk"},
    {"ServiceAccount", "v1", Refused, nullptr,
     "leave it out: there is no API server to be authenticated to"},
    {"Role", "rbac.authorization.k8s.io/v1", Refused, nullptr, kNoApi},
    {"RoleBinding", "rbac.authorization.k8s.io/v1", Refused, nullptr, kNoApi},
    {"ClusterRole", "rbac.authorization.k8s.io/v1", Refused, nullptr, kNoApi},
    {"ClusterRoleBinding", "rbac.authorization.k8s.io/v1", Refused, nullptr, kNoApi},
    {"HorizontalPodAutoscaler", "autoscaling/v2", Refused, nullptr, "write the replicas you want"},
    {"PodDisruptionBudget", "policy/v1", Refused, nullptr,
     "leave it out: updates follow the strategy of each object"},
    {"PriorityClass", "scheduling.k8s.io/v1", Refused, nullptr,
     "leave it out: a device has no cluster scheduler"},
    {"RuntimeClass", "node.k8s.io/v1", Refused, nullptr,
     "name the handler in containerd.runtime_classes of the device"},
    {"LimitRange", "v1", Refused, nullptr, "set resources of each container"},
    {"ResourceQuota", "v1", Refused, nullptr, "set resources of each container"},
    {"Endpoints", "v1", Refused, nullptr},
    {"PodTemplate", "v1", Refused, nullptr},
};

}  // namespace

constexpr Schema kDesiredStateSchema{"DesiredState", kDesiredState};
constexpr Schema kListSchema{"List", kList};
constexpr Schema kPodSchema{"Pod", kPod};
constexpr Schema kConfigMapSchema{"ConfigMap", kConfigMap};
constexpr Schema kSecretSchema{"Secret", kSecret};
constexpr Schema kObjectMetaSchema{"ObjectMeta", kObjectMeta};

std::span<const KindEntry> known_kinds() { return kKinds; }
std::span<const Field> known_annotations() { return kAnnotations; }

const Field* find_field(const Schema& schema, std::string_view name) {
  for (const Field& field : schema.fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

bool is_one_of(std::string_view value, std::string_view values) {
  if (values.empty()) return false;
  while (true) {
    const size_t bar = values.find('|');
    if (values.substr(0, bar) == value) return true;
    if (bar == std::string_view::npos) return false;
    values.remove_prefix(bar + 1);
  }
}

}  // namespace wherry::manifest
