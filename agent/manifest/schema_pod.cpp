// The fields of a Pod's spec and of what it holds besides containers (Kubernetes API v1, core).

#include "agent/manifest/schema.h"

namespace wherry::manifest {
namespace {

using enum Support;

constexpr std::string_view kLater = "not supported by this version: leave it out";
constexpr std::string_view kScheduling = "a device has no cluster scheduler";
constexpr std::string_view kNoAccounts = "there is no API server to be authenticated to";

constexpr Field kNodeAffinity[] = {
    {"requiredDuringSchedulingIgnoredDuringExecution",
     Refused,
     Type::Any,
     nullptr,
     {},
     "use nodeSelector to choose devices"},
    {"preferredDuringSchedulingIgnoredDuringExecution",
     Warned,
     Type::Objects,
     nullptr,
     {},
     kScheduling},
};
constexpr Schema kNodeAffinitySchema{"NodeAffinity", kNodeAffinity};

constexpr Field kAffinity[] = {
    {"nodeAffinity", Honoured, Type::Object, &kNodeAffinitySchema},
    {"podAffinity", Warned, Type::Object, nullptr, {}, kScheduling},
    {"podAntiAffinity", Warned, Type::Object, nullptr, {}, kScheduling},
};

constexpr Field kLocalReference[] = {
    {"name", Honoured, Type::String, nullptr, {}, {}, true},
};
constexpr Schema kLocalReferenceSchema{"LocalObjectReference", kLocalReference};

constexpr Field kOs[] = {
    {"name", Honoured, Type::String, nullptr, "linux", {}, true},
};
constexpr Schema kOsSchema{"PodOS", kOs};

constexpr Field kHostAlias[] = {
    {"ip", Honoured, Type::String, nullptr, {}, {}, true},
    {"hostnames", Honoured, Type::Strings, nullptr, {}, "at least one", true},
};
constexpr Schema kHostAliasSchema{"HostAlias", kHostAlias};

constexpr Field kDnsOption[] = {
    {"name", Honoured, Type::String, nullptr, {}, {}, true},
    {"value", Honoured, Type::String},
};
constexpr Schema kDnsOptionSchema{"PodDNSConfigOption", kDnsOption};

constexpr Field kDnsConfig[] = {
    {"nameservers", Honoured, Type::Strings, nullptr, {}, "addresses, at most 3"},
    {"searches", Honoured, Type::Strings, nullptr, {}, "domains, at most 32"},
    {"options", Honoured, Type::Objects, &kDnsOptionSchema},
};
constexpr Schema kDnsConfigSchema{"PodDNSConfig", kDnsConfig};

constexpr Field kPodSpec[] = {
    {"containers", Honoured, Type::Objects, &kContainerSchema, {}, "at least one", true},
    {"volumes", Honoured, Type::Objects, &kVolumeSchema},
    {"restartPolicy", Honoured, Type::String, nullptr, "Always|OnFailure|Never"},
    {"terminationGracePeriodSeconds",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "0 to 86400, default 30"},
    {"hostNetwork", Honoured, Type::Boolean},
    {"hostname",
     Honoured,
     Type::String,
     nullptr,
     {},
     "a DNS label; default: the Pod's name. Not with hostNetwork: the device's name holds there"},
    {"nodeSelector",
     Honoured,
     Type::StringMap,
     nullptr,
     {},
     "matched against device.labels, kubernetes.io/arch, kubernetes.io/os and "
     "kubernetes.io/hostname"},
    {"securityContext", Honoured, Type::Object, &kPodSecurityContextSchema},
    {"dnsPolicy", Honoured, Type::String, nullptr,
     "ClusterFirst|Default|ClusterFirstWithHostNet|None",
     "all but None mean the device's name servers: workloads find each other by /etc/hosts"},
    {"dnsConfig", Honoured, Type::Object, &kDnsConfigSchema, {}, "added to the device's"},
    {"hostAliases", Honoured, Type::Objects, &kHostAliasSchema},
    {"os", Honoured, Type::Object, &kOsSchema},
    {"affinity", Honoured, Type::Object, &kAffinitySchema},
    {"activeDeadlineSeconds",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "1 to 2147483647, from the Pod's start on; a reboot of the device begins it anew"},
    {"automountServiceAccountToken", Warned, Type::Boolean, nullptr, "false", kNoAccounts},
    {"enableServiceLinks",
     Honoured,
     Type::Boolean,
     nullptr,
     {},
     "default true: variables such as NAME_SERVICE_HOST for the Services there are when a "
     "container "
     "starts; a change of it restarts nothing"},
    {"ephemeralContainers", Refused, Type::Any, nullptr, {}, kLater},
    {"hostIPC", Honoured, Type::Boolean, nullptr, {}, "with the device's /dev/shm"},
    {"hostPID", Honoured, Type::Boolean, nullptr, {}, "not with shareProcessNamespace"},
    {"hostUsers", Refused, Type::Boolean, nullptr, "true",
     "user namespaces are not supported by this version: leave it out"},
    {"hostnameOverride", Refused, Type::String, nullptr, {}, "use hostname"},
    {"imagePullSecrets",
     Honoured,
     Type::Objects,
     &kLocalReferenceSchema,
     {},
     "Secrets of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg; one that is not "
     "there is done without, with a warning; a change restarts nothing"},
    {"initContainers",
     Honoured,
     Type::Objects,
     &kContainerSchema,
     {},
     "one after another, each to success, before the containers; with restartPolicy: Always a "
     "sidecar"},
    {"nodeName",
     Refused,
     Type::String,
     nullptr,
     {},
     "choose the device by nodeSelector: { kubernetes.io/hostname: ... }"},
    {"overhead", Warned, Type::Object, nullptr, {}, kScheduling},
    {"preemptionPolicy", Honoured, Type::String, nullptr, "PreemptLowerPriority|Never"},
    {"priority",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "who gets room first; one that does not fit stops those of a lower one, where that helps"},
    {"priorityClassName",
     Honoured,
     Type::String,
     nullptr,
     {},
     "of a PriorityClass of any document of the device, or system-cluster-critical or "
     "system-node-critical; another name gives a warning"},
    {"readinessGates", Refused, Type::Any, nullptr, {}, kLater},
    {"resourceClaims", Refused, Type::Any, nullptr, {}, kLater},
    {"resources", Refused, Type::Object, nullptr, "{}",
     "not supported by this version: set resources of each container"},
    {"runtimeClassName",
     Honoured,
     Type::String,
     nullptr,
     {},
     "a key of containerd.runtime_classes"},
    {"schedulerName", Warned, Type::String, nullptr, "default-scheduler", kScheduling},
    {"schedulingGates",
     Refused,
     Type::Any,
     nullptr,
     {},
     "a gated Pod would never start: leave it out"},
    {"serviceAccount", Warned, Type::String, nullptr, "default", kNoAccounts},
    {"serviceAccountName", Warned, Type::String, nullptr, "default", kNoAccounts},
    {"setHostnameAsFQDN",
     Honoured,
     Type::Boolean,
     nullptr,
     {},
     "hostname and domain of subdomain, at most 64 characters; nothing without a subdomain"},
    {"shareProcessNamespace",
     Honoured,
     Type::Boolean,
     nullptr,
     {},
     "the first process is wherry-pause, which no container's end touches"},
    {"subdomain",
     Honoured,
     Type::String,
     nullptr,
     {},
     "a DNS label: the Pod calls itself <hostname>.<subdomain>.<namespace>.svc.cluster.local; "
     "others find it so where a headless Service of that name chooses it. Not with hostNetwork"},
    {"tolerations", Warned, Type::Objects, nullptr, {}, kScheduling},
    {"topologySpreadConstraints", Warned, Type::Objects, nullptr, {}, kScheduling},
};

}  // namespace

constexpr Schema kPodSpecSchema{"PodSpec", kPodSpec};
constexpr Schema kAffinitySchema{"Affinity", kAffinity};

}  // namespace wherry::manifest
