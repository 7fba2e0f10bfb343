// The sources of a Pod's volumes, and PersistentVolumeClaim (Kubernetes API v1, core).

#include "agent/manifest/schema.h"

namespace wherry::manifest {
namespace {

using enum Support;

constexpr std::string_view kOtherVolume =
    "volumes of this kind are not supported by this version: use hostPath or "
    "persistentVolumeClaim";
constexpr std::string_view kNoCluster = "a device has one kind of storage, its own disk";
constexpr std::string_view kMode = "0 to 0777; default 0644, or what defaultMode says";
constexpr std::string_view kPathNote = "relative, without .., not beginning with ..";

constexpr Field kHostPath[] = {
    {"path", Honoured, Type::String, nullptr, {}, "absolute, without ..", true},
    {"type", Honoured, Type::String, nullptr,
     "|DirectoryOrCreate|Directory|FileOrCreate|File|Socket|CharDevice|BlockDevice"},
};
constexpr Schema kHostPathSchema{"HostPathVolumeSource", kHostPath};

constexpr Field kEmptyDir[] = {
    {"medium", Honoured, Type::String, nullptr,
     "|Memory|HugePages|HugePages-64Ki|HugePages-2Mi|HugePages-32Mi|HugePages-1Gi",
     "huge pages: of a size that a container of the Pod has a limit of"},
    {"sizeLimit",
     Honoured,
     Type::Quantity,
     nullptr,
     {},
     "in memory the kernel keeps to it; on disk it is looked at every 30 s, and a Pod above it is "
     "stopped and started again after a pause"},
};
constexpr Schema kEmptyDirSchema{"EmptyDirVolumeSource", kEmptyDir};

constexpr Field kKeyToPath[] = {
    {"key", Honoured, Type::String, nullptr, {}, {}, true},
    {"path", Honoured, Type::String, nullptr, {}, kPathNote, true},
    {"mode", Honoured, Type::Mode, nullptr, {}, kMode},
};
constexpr Schema kKeyToPathSchema{"KeyToPath", kKeyToPath};

constexpr std::string_view kInPlace =
    "a change shows in running containers at once and all together, without a restart; files "
    "mounted by subPath are replaced with their workload";
constexpr Field kConfigMapVolume[] = {
    {"name", Honoured, Type::String, nullptr, {}, kInPlace, true},
    {"items", Honoured, Type::Objects, &kKeyToPathSchema},
    {"defaultMode", Honoured, Type::Mode, nullptr, {}, "0 to 0777; default 0644"},
    {"optional", Honoured, Type::Boolean},
};
constexpr Schema kConfigMapVolumeSchema{"ConfigMapVolumeSource", kConfigMapVolume};

constexpr Field kSecretVolume[] = {
    {"secretName",
     Honoured,
     Type::String,
     nullptr,
     {},
     "in memory, never on the disk; changes as those of a ConfigMap",
     true},
    {"items", Honoured, Type::Objects, &kKeyToPathSchema},
    {"defaultMode", Honoured, Type::Mode, nullptr, {}, "0 to 0777; default 0644"},
    {"optional", Honoured, Type::Boolean},
};
constexpr Schema kSecretVolumeSchema{"SecretVolumeSource", kSecretVolume};

constexpr Field kFieldRef[] = {
    {"fieldPath",
     Honoured,
     Type::String,
     nullptr,
     {},
     "metadata.name, metadata.namespace (always default), metadata.uid, metadata.labels, "
     "metadata.annotations, "
     "metadata.labels['...'], metadata.annotations['...']",
     true},
    {"apiVersion", Honoured, Type::String, nullptr, "v1"},
};
constexpr Schema kFieldRefSchema{"ObjectFieldSelector", kFieldRef};

constexpr Field kResourceRef[] = {
    {"containerName", Honoured, Type::String, nullptr, {}, "of one of the Pod's containers", true},
    {"resource", Honoured, Type::String, nullptr,
     "limits.cpu|limits.memory|requests.cpu|requests.memory",
     "where there is no limit: all that the device has", true},
    {"divisor", Honoured, Type::Quantity, nullptr, {}, "default 1: whole cores, bytes"},
};
constexpr Schema kResourceRefSchema{"ResourceFieldSelector", kResourceRef};

constexpr Field kDownwardFile[] = {
    {"path", Honoured, Type::String, nullptr, {}, kPathNote, true},
    {"fieldRef", Honoured, Type::Object, &kFieldRefSchema},
    {"resourceFieldRef", Honoured, Type::Object, &kResourceRefSchema},
    {"mode", Honoured, Type::Mode, nullptr, {}, kMode},
};
constexpr Schema kDownwardFileSchema{"DownwardAPIVolumeFile", kDownwardFile};

constexpr Field kDownward[] = {
    {"items", Honoured, Type::Objects, &kDownwardFileSchema},
    {"defaultMode", Honoured, Type::Mode, nullptr, {}, "0 to 0777; default 0644"},
};
constexpr Schema kDownwardSchema{"DownwardAPIVolumeSource", kDownward};

constexpr Field kProjectedObject[] = {
    {"name", Honoured, Type::String, nullptr, {}, {}, true},
    {"items", Honoured, Type::Objects, &kKeyToPathSchema},
    {"optional", Honoured, Type::Boolean},
};
constexpr Schema kProjectedObjectSchema{"ConfigMapProjection, SecretProjection", kProjectedObject};

constexpr Field kProjectedDownward[] = {
    {"items", Honoured, Type::Objects, &kDownwardFileSchema},
};
constexpr Schema kProjectedDownwardSchema{"DownwardAPIProjection", kProjectedDownward};

constexpr std::string_view kNoServer =
    "not supported by this version: there is no API server to be authenticated to";
constexpr Field kProjection[] = {
    {"configMap", Honoured, Type::Object, &kProjectedObjectSchema},
    {"secret", Honoured, Type::Object, &kProjectedObjectSchema},
    {"downwardAPI", Honoured, Type::Object, &kProjectedDownwardSchema},
    {"serviceAccountToken", Refused, Type::Any, nullptr, {}, kNoServer},
    {"clusterTrustBundle",
     Refused,
     Type::Any,
     nullptr,
     {},
     "not supported by this version: there is no API server that has one; put the certificates "
     "into a ConfigMap"},
    {"podCertificate",
     Refused,
     Type::Any,
     nullptr,
     {},
     "not supported by this version: there is nobody who would sign it; put key and certificate "
     "into a Secret"},
};
constexpr Schema kProjectionSchema{"VolumeProjection", kProjection};

constexpr Field kProjected[] = {
    {"sources",
     Honoured,
     Type::Objects,
     &kProjectionSchema,
     {},
     "of two files of one path the later shows",
     true},
    {"defaultMode", Honoured, Type::Mode, nullptr, {}, "0 to 0777; default 0644"},
};
constexpr Schema kProjectedSchema{"ProjectedVolumeSource", kProjected};

constexpr Field kClaimVolume[] = {
    {"claimName",
     Honoured,
     Type::String,
     nullptr,
     {},
     "of a PersistentVolumeClaim of any document of the device",
     true},
    {"readOnly", Honoured, Type::Boolean},
};
constexpr Schema kClaimVolumeSchema{"PersistentVolumeClaimVolumeSource", kClaimVolume};

constexpr Field kImageVolume[] = {
    {"reference",
     Honoured,
     Type::String,
     nullptr,
     {},
     "an OCI image, or an artifact whose blobs become files; shown read-only",
     true},
    {"pullPolicy", Honoured, Type::String, nullptr, "Always|IfNotPresent|Never",
     "default as of a container's image"},
};
constexpr Schema kImageVolumeSchema{"ImageVolumeSource", kImageVolume};

constexpr Field kOwnClaimMeta[] = {
    {"labels", Honoured, Type::StringMap},
    {"annotations", Honoured, Type::StringMap},
};
constexpr Schema kOwnClaimMetaSchema{"PersistentVolumeClaimTemplate.metadata", kOwnClaimMeta};

constexpr Field kOwnClaim[] = {
    {"metadata", Honoured, Type::Object, &kOwnClaimMetaSchema},
    {"spec", Honoured, Type::Object, &kClaimSpecSchema, {}, {}, true},
};
constexpr Schema kOwnClaimSchema{"PersistentVolumeClaimTemplate", kOwnClaim};

constexpr Field kEphemeral[] = {
    {"volumeClaimTemplate",
     Honoured,
     Type::Object,
     &kOwnClaimSchema,
     {},
     "a claim named <pod>-<volume>, of this Pod alone: made and removed with it, it outlives its "
     "containers and a reboot",
     true},
};
constexpr Schema kEphemeralSchema{"EphemeralVolumeSource", kEphemeral};

constexpr Field kVolume[] = {
    {"name", Honoured, Type::String, nullptr, {}, "a DNS label", true},
    {"hostPath", Honoured, Type::Object, &kHostPathSchema},
    {"emptyDir", Honoured, Type::Object, &kEmptyDirSchema},
    {"configMap", Honoured, Type::Object, &kConfigMapVolumeSchema},
    {"secret", Honoured, Type::Object, &kSecretVolumeSchema},
    {"persistentVolumeClaim", Honoured, Type::Object, &kClaimVolumeSchema},
    {"projected", Honoured, Type::Object, &kProjectedSchema},
    {"downwardAPI", Honoured, Type::Object, &kDownwardSchema},
    {"image", Honoured, Type::Object, &kImageVolumeSchema},
    {"ephemeral", Honoured, Type::Object, &kEphemeralSchema},
    {"csi", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"nfs",
     Refused,
     Type::Any,
     nullptr,
     {},
     "not supported by this version: mount it on the device and use hostPath"},
    {"iscsi", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"fc", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"flexVolume", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"gitRepo", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"awsElasticBlockStore", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"azureDisk", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"azureFile", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"cephfs", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"cinder", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"flocker", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"gcePersistentDisk", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"glusterfs", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"photonPersistentDisk", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"portworxVolume", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"quobyte", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"rbd", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"scaleIO", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"storageos", Refused, Type::Any, nullptr, {}, kOtherVolume},
    {"vsphereVolume", Refused, Type::Any, nullptr, {}, kOtherVolume},
};

constexpr Field kStorage[] = {
    {"storage", Honoured, Type::Quantity, nullptr, {}, "noted; no limit is kept"},
};
constexpr Schema kStorageSchema{"VolumeResourceRequirements.requests", kStorage};

constexpr Field kClaimResources[] = {
    {"requests", Honoured, Type::Object, &kStorageSchema},
    {"limits", Warned, Type::Object, nullptr, {}, "no limit is kept on what a claim holds"},
};
constexpr Schema kClaimResourcesSchema{"VolumeResourceRequirements", kClaimResources};

constexpr std::string_view kNoSource =
    "not supported by this version: a claim begins empty; copy what it shall hold by a container";
constexpr Field kClaimSpec[] = {
    {"accessModes", Honoured, Type::Strings, nullptr,
     "ReadWriteOnce|ReadOnlyMany|ReadWriteMany|ReadWriteOncePod",
     "with ReadWriteOncePod one Pod only may use it; else all Pods of the device may", true},
    {"resources", Honoured, Type::Object, &kClaimResourcesSchema},
    {"volumeMode", Honoured, Type::String, nullptr, "Filesystem",
     "block devices are not supported by this version"},
    {"storageClassName", Warned, Type::String, nullptr, "|", kNoCluster},
    {"volumeAttributesClassName", Warned, Type::String, nullptr, "|", kNoCluster},
    {"volumeName", Refused, Type::String, nullptr, "|",
     "not supported by this version: use hostPath for what lies on the device already"},
    {"selector",
     Refused,
     Type::Any,
     nullptr,
     {},
     "not supported by this version: use hostPath for what lies on the device already"},
    {"dataSource", Refused, Type::Any, nullptr, {}, kNoSource},
    {"dataSourceRef", Refused, Type::Any, nullptr, {}, kNoSource},
};

constexpr Field kClaim[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "v1", {}, true},
    {"kind", Honoured, Type::String, nullptr, "PersistentVolumeClaim", {}, true},
    {"metadata", Honoured, Type::Object, &kObjectMetaSchema, {}, {}, true},
    {"spec", Honoured, Type::Object, &kClaimSpecSchema, {}, {}, true},
    {"status",
     Warned,
     Type::Object,
     nullptr,
     {},
     "the agent reports the state; it does not read it"},
};

}  // namespace

constexpr Schema kVolumeSchema{"Volume", kVolume};
constexpr Schema kClaimSpecSchema{"PersistentVolumeClaimSpec", kClaimSpec};
constexpr Schema kClaimSchema{"PersistentVolumeClaim", kClaim};

}  // namespace wherry::manifest
