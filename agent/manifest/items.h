#pragma once
// The validated objects of a document: all that the merge needs, and nothing of the text's tree.
// Private to the manifest room.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/manifest/controller_spec.h"
#include "agent/manifest/cursor.h"
#include "agent/manifest/document.h"
#include "agent/manifest/findings.h"

namespace wherry {
namespace manifest {

// What an environment variable is taken from.
struct ValueRef {
  enum class From { ConfigMap, Secret, Field, Resource };
  From from = From::ConfigMap;
  std::string name;  // of the object
  std::string key;   // in it; or the field's path, or the resource's name
  bool optional = false;
  std::string container{};  // whose resource it is; empty: its own
  int64_t divisor = 1000;   // of a resource, in thousandths
  Place place;
};

struct EnvEntry {
  std::string name;
  std::string value;  // before $(NAME) is expanded
  std::optional<ValueRef> from;
};

struct EnvFromEntry {
  std::string prefix;
  ValueRef source;  // without key
};

// subPathExpr of a mount.
struct SubPathExpr {
  size_t mount = 0;  // index in ContainerSpec::mounts
  std::string text;
  Place place;
};

struct ContainerItem {
  runtime::ContainerSpec spec;  // env empty, command and args before $(NAME) is expanded
  std::vector<EnvFromEntry> env_from;
  std::vector<EnvEntry> env;
  std::vector<SubPathExpr> sub_path_exprs;
  Place place;
};

// One file of a volume, or of one of its sources.
struct FileEntry {
  std::string key;  // of the ConfigMap or Secret; or the field's path, or the resource's name
  std::string path;
  std::optional<uint32_t> mode;
  std::string container{};  // whose resource it is; empty: a field
  int64_t divisor = 1000;   // of a resource, in thousandths
  Place place;
};

struct FileSource {
  enum class From { ConfigMap, Secret, Downward };
  From from = From::ConfigMap;
  std::string name;  // of the object
  bool optional = false;
  std::vector<FileEntry> items;  // none, of an object: every key
  Place place;
};

// What a volume of files is made of, or which claim it is.
struct VolumeItem {
  size_t index = 0;  // in PodSpec::volumes
  uint32_t default_mode = 0644;
  std::vector<FileSource> sources;
  Place place;
};

struct HostPort {
  runtime::PortMapping mapping;
  Place place;
};

// Of imagePullSecrets.
struct PullSecretRef {
  std::string name;
  Place place;
};

// Of volumeClaimTemplates: each Pod has a claim of its own, named after both.
struct ClaimTemplate {
  std::string name;
  bool one_pod = false;  // ReadWriteOncePod
  size_t index = 0;      // of its volume, in PodSpec::volumes
  Place place;
};

struct PodItem {
  WorkloadSpec workload;  // source, containers, hash: set by the merge
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::string name_space = "default";  // for its names only
  std::map<std::string, std::string> node_selector;
  std::vector<ContainerItem> containers;         // init ones first
  std::string service_account = "default";       // a name only, for those who ask for it
  std::vector<VolumeItem> volumes;               // those that refer to other objects
  std::vector<ClaimTemplate> claim_templates{};  // of a StatefulSet: set before it is read
  std::vector<HostPort> host_ports;  // also those a Pod on the host's network listens on
  std::vector<PullSecretRef> pull_secrets;
  std::string priority_class;   // empty: that which is for all others, where there is one
  bool priority_given = false;  // by number, or by a class that every device has
  bool preemption_given = false;
  Place priority_place;
  Place place;
  Place depends_place;
  Place runtime_class_place;
};

// An object that owns Pods.
struct ControllerItem {
  ControllerSpec spec;  // source, revision, pods, pod_template: set by the merge
  int replicas = 1;     // of Deployment, DaemonSet, StatefulSet
  PodItem pod;          // the template: without a name
  Place name_place;
};

// A ConfigMap or a Secret: its entries, decoded.
struct ConfigItem {
  std::string name;
  std::map<std::string, std::string> data;
  std::map<std::string, std::string> binary;  // of a ConfigMap: shows in volumes only
  // Of a Secret whose type says that it is for pulling images.
  std::optional<std::vector<runtime::RegistryCredential>> credentials;
  Place place;
};

struct ServiceItem {
  ServiceSpec spec;          // source, revision, path: set by the merge
  std::vector<Place> ports;  // of each port
  Place place;
  Place selector_place;
};

// A PersistentVolumeClaim.
struct ClaimItem {
  std::string name;
  bool one_pod = false;  // ReadWriteOncePod
  Place place;
};

struct PriorityClassItem {
  std::string name;
  int32_t value = 0;
  bool for_others = false;  // globalDefault
  bool preempts = true;
  Place place;
};

}  // namespace manifest

struct ParsedItems {
  std::string file;  // of a local manifest
  std::vector<manifest::PodItem> pods;
  std::vector<manifest::ControllerItem> controllers;
  std::vector<manifest::ConfigItem> config_maps;
  std::vector<manifest::ConfigItem> secrets;
  std::vector<manifest::ClaimItem> claims;
  std::vector<manifest::ServiceItem> services;
  std::vector<manifest::PriorityClassItem> priority_classes;
};

namespace manifest {

// Each reads one object that check() has been through; errors go to the cursor's findings.
PodItem read_pod(const Cursor& pod);
// Metadata and spec of a Pod or of a template of Pods. Where `pod` has no name the host name that
// defaults to it is left empty, see name_pod().
void read_template(const Cursor& object, PodItem& pod);
ControllerItem read_controller(const Cursor& object, OwnerKind kind);
// What a container takes from its Pod.
struct PodContext {
  std::set<std::string, std::less<>> volumes;  // the names declared
  runtime::SecurityContext security;
  bool host_network = false;
};
ContainerItem read_container(const Cursor& container, const PodContext& pod,
                             runtime::ContainerRole role);
// Its probes and hooks. `spec.role` is set.
void read_health(const Cursor& container, runtime::ContainerSpec& spec);
// The ports of all containers that take a port of the device.
std::vector<HostPort> read_host_ports(const Cursor& pod_spec, bool host_network);
runtime::Protocol protocol_of(std::string_view name);  // TCP where it is none of them
// Those that have a name, and are as they should be.
std::vector<NamedPort> read_named_ports(const Cursor& pod_spec);
ConfigItem read_config_map(const Cursor& object);
ConfigItem read_secret(const Cursor& object);
ClaimItem read_claim(const Cursor& object);
ServiceItem read_service(const Cursor& object);
// Its spec alone.
void read_claim_spec(const Cursor& spec, ClaimItem& claim);
// A reference and its pull policy, checked.
void read_image(const Cursor& at, std::string_view reference_field, std::string_view policy_field,
                std::string& image, runtime::PullPolicy& pull_policy);
// spec.volumes; their names into `context`.
void read_volumes(const Cursor& spec, PodItem& pod, PodContext& context);
// Of its ephemeral volumes: <pod>-<volume>, as in Kubernetes.
void name_own_claims(runtime::PodSpec& pod);

// Of a Pod or container, over `base` (what the Pod says).
runtime::SecurityContext read_security(const Cursor& context, runtime::SecurityContext base);
// What only a Pod's has: fsGroup and sysctls. What it shares with the device is read already.
void read_pod_security(const Cursor& context, runtime::PodSpec& pod);
// priority, priorityClassName and preemptionPolicy.
void read_priority(const Cursor& spec, PodItem& pod);
PriorityClassItem read_priority_class(const Cursor& object);
// metadata.namespace, or "default".
std::string read_name_space(const Cursor& object);
// hostAliases; dnsPolicy and dnsConfig.
void read_host_aliases(const Cursor& spec, runtime::PodSpec& pod);
void read_dns(const Cursor& spec, runtime::PodSpec& pod);
runtime::Resources read_resources(const Cursor& resources);
// A container's resizePolicy.
void read_resize_policy(const Cursor& container, runtime::Resources& resources);
// Of a resourceFieldRef, in thousandths; never 0.
int64_t read_divisor(const Cursor& ref);
// metadata.labels and metadata.annotations, checked; annotations of ours by their table.
void read_metadata(const Cursor& metadata, bool is_pod, std::map<std::string, std::string>& labels,
                   std::map<std::string, std::string>& annotations);

}  // namespace manifest
}  // namespace wherry
