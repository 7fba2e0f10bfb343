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
    {"target", Honoured, Type::String, nullptr, {}, "devices/<id>, groups/<group> or local/<id>"},
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
    {"metadata", Warned, Type::Object, nullptr, {}, kServerSet},
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
    {"generateName", Warned, Type::String, nullptr, {}, "an object is known by its name here"},
    {"finalizers", Warned, Type::Strings, nullptr, {}, kServerSet},
    {"ownerReferences", Warned, Type::Objects, nullptr, {}, kServerSet},
    {"creationTimestamp", Warned, Type::String, nullptr, {}, kServerSet},
    {"deletionTimestamp", Warned, Type::String, nullptr, {}, kServerSet},
    {"deletionGracePeriodSeconds", Warned, Type::Integer, nullptr, {}, kServerSet},
    {"generation", Warned, Type::Integer, nullptr, {}, kServerSet},
    {"managedFields", Warned, Type::Objects, nullptr, {}, kServerSet},
    {"resourceVersion", Warned, Type::String, nullptr, {}, kServerSet},
    {"selfLink", Warned, Type::String, nullptr, {}, kServerSet},
    {"uid", Warned, Type::String, nullptr, {}, kServerSet},
};

constexpr Field kPod[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "Pod", {}, true},
    {"metadata", Honoured, Type::Object, &kObjectMetaSchema, {}, {}, true},
    {"spec", Honoured, Type::Object, &kPodSpecSchema, {}, {}, true},
    {"status",
     Warned,
     Type::Object,
     nullptr,
     {},
     "the agent reports the state; it does not read it"},
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
    {"wherry/log-forward", Honoured, Type::String, nullptr, "none|errors|all",
     "which lines of its containers go upstream, whatever telemetry.logs.forward says; errors: "
     "those "
     "of stderr"},
    {"cdi.k8s.io/...",
     Honoured,
     Type::String,
     nullptr,
     {},
     "CDI devices for every container of the Pod, as `vendor.com/class=name`, separated by commas, "
     "see devices.md"},
};

constexpr Field kPriorityClass[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "scheduling.k8s.io/v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "PriorityClass", {}, true},
    {"metadata", Honoured, Type::Object, &kObjectMetaSchema, {}, {}, true},
    {"value", Honoured, Type::Integer, nullptr, {}, "at most 1000000000", true},
    {"globalDefault",
     Honoured,
     Type::Boolean,
     nullptr,
     {},
     "of all Pods of the device that say neither priority nor priorityClassName"},
    {"description", Honoured, Type::String, nullptr, {}, "for people"},
    {"preemptionPolicy", Honoured, Type::String, nullptr, "PreemptLowerPriority|Never"},
};

constexpr Field kServiceAccount[] = {
    {"imagePullSecrets",
     Refused,
     Type::Any,
     nullptr,
     {},
     "no account stands behind a Pod here: write imagePullSecrets in the Pod's spec"},
};
constexpr Schema kServiceAccountSchema{"ServiceAccount", kServiceAccount};

constexpr Field kStorageClass[] = {
    {"parameters", Refused, Type::StringMap, nullptr, "{}",
     "they are for a provisioner that is not here, and may ask for encryption: leave them out"},
    {"mountOptions",
     Refused,
     Type::Any,
     nullptr,
     {},
     "claims are directories of the device's disk, mounted as that is: leave them out"},
};
constexpr Schema kStorageClassSchema{"StorageClass", kStorageClass};

constexpr Schema kNothingRefused{"object", {}};

constexpr std::string_view kNoApi = "it grants access to an API server, and there is none";
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
    {"PriorityClass", "scheduling.k8s.io/v1", Honoured, &kPriorityClassSchema},
    {"Namespace", "v1", Warned, &kNothingRefused,
     "a device has one namespace only; refused where pod-security.kubernetes.io/enforce restricts "
     "it, as nothing here would"},
    {"ServiceAccount", "v1", Warned, &kServiceAccountSchema,
     "there is no API server to be authenticated to; imagePullSecrets of it are refused"},
    {"Role", "rbac.authorization.k8s.io/v1", Warned, &kNothingRefused, kNoApi},
    {"RoleBinding", "rbac.authorization.k8s.io/v1", Warned, &kNothingRefused, kNoApi},
    {"ClusterRole", "rbac.authorization.k8s.io/v1", Warned, &kNothingRefused, kNoApi},
    {"ClusterRoleBinding", "rbac.authorization.k8s.io/v1", Warned, &kNothingRefused, kNoApi},
    {"PodDisruptionBudget", "policy/v1", Warned, &kNothingRefused,
     "nobody drains a device of its Pods; updates follow the strategy of each object"},
    {"StorageClass", "storage.k8s.io/v1", Warned, &kStorageClassSchema,
     "a device has one kind of storage, its own disk; parameters and mountOptions of it are "
     "refused"},
    {"ReplicaSet", "apps/v1", Refused, nullptr, "use a Deployment"},
    {"ReplicationController", "v1", Refused, nullptr, "use a Deployment"},
    {"Ingress", "networking.k8s.io/v1", Refused, nullptr,
     "without it nobody would reach what it leads to: use hostPort of a container"},
    {"NetworkPolicy", "networking.k8s.io/v1", Refused, nullptr,
     "without it what it closes would be open: restrict traffic on the device"},
    {"PersistentVolume", "v1", Refused, nullptr,
     "a claim would not find what is in it: use hostPath for what lies on the device already, or a "
     "claim alone"},
    {"HorizontalPodAutoscaler", "autoscaling/v2", Refused, nullptr,
     "without it there would be another number of Pods: write the replicas you want"},
    {"RuntimeClass", "node.k8s.io/v1", Refused, nullptr,
     "without it Pods would not run in what it names: name the handler in "
     "containerd.runtime_classes of the device"},
    {"LimitRange", "v1", Refused, nullptr,
     "without it containers would have other limits: set resources of each container"},
    {"ResourceQuota", "v1", Refused, nullptr,
     "without it Pods might take more: set resources of each container"},
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
constexpr Schema kPriorityClassSchema{"PriorityClass", kPriorityClass};

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
