// The fields of a container, its resources and its security (Kubernetes API v1, core).

#include "agent/manifest/schema.h"

namespace wherry::manifest {
namespace {

using enum Support;

constexpr std::string_view kLater = "not supported by this version: leave it out";
constexpr std::string_view kNobodyAttaches =
    "not supported by this version: nobody can attach to a container here; leave it out";
constexpr std::string_view kNoSeLinux =
    "SELinux labels are not supported by this version: leave it out";

constexpr Field kKeyRef[] = {
    {"name", Honoured, Type::String, nullptr, {}, {}, true},
    {"key", Honoured, Type::String, nullptr, {}, {}, true},
    {"optional", Honoured, Type::Boolean},
};
constexpr Schema kKeyRefSchema{"ConfigMapKeySelector, SecretKeySelector", kKeyRef};

constexpr Field kFieldRef[] = {
    {"fieldPath",
     Honoured,
     Type::String,
     nullptr,
     {},
     "metadata.name, metadata.namespace (always default), metadata.uid (new whenever the Pod is "
     "made anew, kept over restarts of its containers, of the agent and of the device), "
     "metadata.labels['...'], "
     "metadata.annotations['...'], spec.nodeName (the device's host name), "
     "spec.serviceAccountName (a name only), status.podIP, status.podIPs, status.hostIP, "
     "status.hostIPs",
     true},
    {"apiVersion", Honoured, Type::String, nullptr, "v1"},
};
constexpr Schema kFieldRefSchema{"ObjectFieldSelector", kFieldRef};

constexpr Field kResourceRef[] = {
    {"containerName", Honoured, Type::String, nullptr, {}, "default: this one"},
    {"resource", Honoured, Type::String, nullptr,
     "limits.cpu|limits.memory|requests.cpu|requests.memory",
     "where there is no limit: all that the device has", true},
    {"divisor", Honoured, Type::Quantity, nullptr, {}, "default 1: whole cores, bytes"},
};
constexpr Schema kResourceRefSchema{"EnvVarSource.resourceFieldRef", kResourceRef};

constexpr Field kValueFrom[] = {
    {"configMapKeyRef", Honoured, Type::Object, &kKeyRefSchema},
    {"secretKeyRef", Honoured, Type::Object, &kKeyRefSchema},
    {"fieldRef", Honoured, Type::Object, &kFieldRefSchema},
    {"resourceFieldRef", Honoured, Type::Object, &kResourceRefSchema},
    {"fileKeyRef",
     Refused,
     Type::Any,
     nullptr,
     {},
     "not supported by this version: let the container's command read the file"},
};
constexpr Schema kValueFromSchema{"EnvVarSource", kValueFrom};

constexpr Field kEnv[] = {
    {"name", Honoured, Type::String, nullptr, {}, {}, true},
    {"value", Honoured, Type::String, nullptr, {}, "$(NAME) stands for a variable given before it"},
    {"valueFrom", Honoured, Type::Object, &kValueFromSchema},
};
constexpr Schema kEnvSchema{"EnvVar", kEnv};

constexpr Field kEnvFromRef[] = {
    {"name", Honoured, Type::String, nullptr, {}, {}, true},
    {"optional", Honoured, Type::Boolean},
};
constexpr Schema kEnvFromRefSchema{"ConfigMapEnvSource, SecretEnvSource", kEnvFromRef};

constexpr Field kEnvFrom[] = {
    {"prefix", Honoured, Type::String},
    {"configMapRef", Honoured, Type::Object, &kEnvFromRefSchema},
    {"secretRef", Honoured, Type::Object, &kEnvFromRefSchema},
};
constexpr Schema kEnvFromSchema{"EnvFromSource", kEnvFrom};

constexpr Field kPort[] = {
    {"containerPort", Honoured, Type::Integer, nullptr, {}, "1 to 65535", true},
    {"hostPort",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "1 to 65535; with hostNetwork it must equal containerPort"},
    {"hostIP", Honoured, Type::String, nullptr, {}, "an IP address of the device"},
    {"protocol", Honoured, Type::String, nullptr, "TCP|UDP|SCTP"},
    {"name", Honoured, Type::String},
};
constexpr Schema kPortSchema{"ContainerPort", kPort};

constexpr Field kDomainLimit{
    "domain/name",
    Honoured,
    Type::Quantity,
    nullptr,
    {},
    "an extended resource: so many devices of those that `devices` in wherry.yaml names so, see "
    "devices.md; a whole number. A Pod waits while there are too few, or while nothing is "
    "configured"};
constexpr Field kDomainRequest{"domain/name", Honoured, Type::Quantity,
                               nullptr,       {},       "must equal the limit; default: the limit"};
constexpr std::string_view kPages =
    "a whole number of pages that the kernel keeps ready; with cpu or memory beside it, see "
    "devices.md";
constexpr std::string_view kPageRequest = "must equal the limit; default: the limit";
constexpr Field kLimits[] = {
    {"cpu", Honoured, Type::Quantity, nullptr, {}, "cores, as 500m or 2"},
    {"memory", Honoured, Type::Quantity, nullptr, {}, "bytes, as 64Mi; a limit is at least 1Mi"},
    {"ephemeral-storage",
     Honoured,
     Type::Quantity,
     nullptr,
     {},
     "looked at every 30 s: a Pod above it is stopped and started again after a pause"},
    {"hugepages-64Ki", Honoured, Type::Quantity, nullptr, {}, kPages},
    {"hugepages-2Mi", Honoured, Type::Quantity, nullptr, {}, kPages},
    {"hugepages-32Mi", Honoured, Type::Quantity, nullptr, {}, kPages},
    {"hugepages-1Gi", Honoured, Type::Quantity, nullptr, {}, kPages},
};
constexpr Schema kLimitsSchema{"ResourceRequirements.limits", kLimits, &kDomainLimit};

constexpr Field kRequests[] = {
    {"cpu", Honoured, Type::Quantity, nullptr, {}, "at most the limit; default: the limit"},
    {"memory", Honoured, Type::Quantity, nullptr, {}, "at most the limit; default: the limit"},
    {"ephemeral-storage",
     Honoured,
     Type::Quantity,
     nullptr,
     {},
     "of the disk of the state directory"},
    {"hugepages-64Ki", Honoured, Type::Quantity, nullptr, {}, kPageRequest},
    {"hugepages-2Mi", Honoured, Type::Quantity, nullptr, {}, kPageRequest},
    {"hugepages-32Mi", Honoured, Type::Quantity, nullptr, {}, kPageRequest},
    {"hugepages-1Gi", Honoured, Type::Quantity, nullptr, {}, kPageRequest},
};
constexpr Schema kRequestsSchema{"ResourceRequirements.requests", kRequests, &kDomainRequest};

constexpr Field kResizePolicy[] = {
    {"resourceName", Honoured, Type::String, nullptr, "cpu|memory", {}, true},
    {"restartPolicy", Honoured, Type::String, nullptr, "NotRequired|RestartContainer",
     "RestartContainer replaces the Pod", true},
};
constexpr Schema kResizePolicySchema{"ContainerResizePolicy", kResizePolicy};

constexpr Field kResources[] = {
    {"limits", Honoured, Type::Object, &kLimitsSchema},
    {"requests", Honoured, Type::Object, &kRequestsSchema},
    {"claims", Refused, Type::Any, nullptr, {}, kLater},
};

constexpr Field kMount[] = {
    {"name", Honoured, Type::String, nullptr, {}, "of one of the Pod's volumes", true},
    {"mountPath", Honoured, Type::String, nullptr, {}, "absolute, without .. and :", true},
    {"readOnly", Honoured, Type::Boolean},
    {"recursiveReadOnly", Refused, Type::String, nullptr, "Disabled", kLater},
    {"mountPropagation", Honoured, Type::String, nullptr, "None|HostToContainer|Bidirectional",
     "Bidirectional only where the container is privileged"},
    {"subPath",
     Honoured,
     Type::String,
     nullptr,
     {},
     "relative, without ..; made as a directory where it is missing; links in the volume cannot "
     "lead out of it"},
    {"subPathExpr",
     Honoured,
     Type::String,
     nullptr,
     {},
     "the same, with $(NAME); not with subPath"},
};
constexpr Schema kMountSchema{"VolumeMount", kMount};

constexpr Field kCapabilities[] = {
    {"add", Honoured, Type::Strings, nullptr, {}, "names without CAP_, or ALL"},
    {"drop", Honoured, Type::Strings, nullptr, {}, "names without CAP_, or ALL"},
};
constexpr Schema kCapabilitiesSchema{"Capabilities", kCapabilities};

constexpr Field kSeccomp[] = {
    {"type", Honoured, Type::String, nullptr, "Unconfined|RuntimeDefault|Localhost",
     "default Unconfined; a privileged container always is", true},
    {"localhostProfile",
     Honoured,
     Type::String,
     nullptr,
     {},
     "with Localhost: a file below seccomp in storage.state_dir, in the form of the OCI runtime "
     "specification"},
};
constexpr Schema kSeccompSchema{"SeccompProfile", kSeccomp};

constexpr Field kAppArmor[] = {
    {"type", Honoured, Type::String, nullptr, "Unconfined|RuntimeDefault|Localhost",
     "default Unconfined; RuntimeDefault is the profile wherry-default; a container does not start "
     "where the kernel has no AppArmor or the profile is not loaded",
     true},
    {"localhostProfile", Honoured, Type::String, nullptr, {}, "with Localhost: a loaded profile"},
};
constexpr Schema kAppArmorSchema{"AppArmorProfile", kAppArmor};

constexpr Field kSysctl[] = {
    {"name",
     Honoured,
     Type::String,
     nullptr,
     {},
     "one of Kubernetes' safe ones; those of net. not with hostNetwork",
     true},
    {"value", Honoured, Type::String, nullptr, {}, {}, true},
};
constexpr Schema kSysctlSchema{"Sysctl", kSysctl};

constexpr Field kPodSecurity[] = {
    {"runAsUser", Honoured, Type::Integer},
    {"runAsGroup", Honoured, Type::Integer},
    {"runAsNonRoot", Honoured, Type::Boolean},
    {"supplementalGroups", Honoured, Type::Integers},
    {"supplementalGroupsPolicy", Honoured, Type::String, nullptr, "Merge|Strict",
     "default Merge: the groups that the image's /etc/group gives the user are added"},
    {"seccompProfile", Honoured, Type::Object, &kSeccompSchema},
    {"appArmorProfile", Honoured, Type::Object, &kAppArmorSchema},
    {"seLinuxOptions", Refused, Type::Object, nullptr, "{}", kNoSeLinux},
    {"seLinuxChangePolicy", Refused, Type::String, nullptr, {}, kNoSeLinux},
    {"fsGroup",
     Honoured,
     Type::Integer,
     nullptr,
     {},
     "of all volumes but hostPath and image, and of every container besides its own groups"},
    {"fsGroupChangePolicy", Honoured, Type::String, nullptr, "Always|OnRootMismatch",
     "default Always; of claims only, as in Kubernetes"},
    {"sysctls", Honoured, Type::Objects, &kSysctlSchema},
    {"windowsOptions", Refused, Type::Object, nullptr, "{}", "devices run Linux: leave it out"},
};

constexpr Field kSecurity[] = {
    {"runAsUser", Honoured, Type::Integer},
    {"runAsGroup", Honoured, Type::Integer},
    {"runAsNonRoot", Honoured, Type::Boolean},
    {"privileged", Honoured, Type::Boolean},
    {"capabilities", Honoured, Type::Object, &kCapabilitiesSchema},
    {"readOnlyRootFilesystem", Honoured, Type::Boolean},
    {"allowPrivilegeEscalation",
     Honoured,
     Type::Boolean,
     nullptr,
     {},
     "default false (true in Kubernetes), unless privileged"},
    {"procMount", Refused, Type::String, nullptr, "Default",
     "must be Default; Unmasked needs hostUsers: false in Kubernetes too, and user namespaces are "
     "not supported by this version: leave it out"},
    {"seccompProfile", Honoured, Type::Object, &kSeccompSchema},
    {"appArmorProfile", Honoured, Type::Object, &kAppArmorSchema},
    {"seLinuxOptions", Refused, Type::Object, nullptr, "{}", kNoSeLinux},
    {"windowsOptions", Refused, Type::Object, nullptr, "{}", "devices run Linux: leave it out"},
};

constexpr Field kContainer[] = {
    {"name", Honoured, Type::String, nullptr, {}, "a DNS label, unique in the Pod", true},
    {"image", Honoured, Type::String, nullptr, {}, {}, true},
    {"imagePullPolicy", Honoured, Type::String, nullptr, "Always|IfNotPresent|Never",
     "default as in Kubernetes; an image named by digest that is present is never pulled again"},
    {"command", Honoured, Type::Strings, nullptr, {}, "with $(NAME)"},
    {"args", Honoured, Type::Strings, nullptr, {}, "with $(NAME)"},
    {"workingDir", Honoured, Type::String, nullptr, {}, "absolute"},
    {"env", Honoured, Type::Objects, &kEnvSchema},
    {"envFrom", Honoured, Type::Objects, &kEnvFromSchema},
    {"ports", Honoured, Type::Objects, &kPortSchema},
    {"resources", Honoured, Type::Object, &kResourcesSchema},
    {"securityContext", Honoured, Type::Object, &kSecurityContextSchema},
    {"volumeMounts", Honoured, Type::Objects, &kMountSchema},
    {"livenessProbe", Honoured, Type::Object, &kProbeSchema},
    {"readinessProbe", Honoured, Type::Object, &kProbeSchema},
    {"startupProbe", Honoured, Type::Object, &kProbeSchema},
    {"lifecycle", Honoured, Type::Object, &kLifecycleSchema},
    {"resizePolicy",
     Honoured,
     Type::Objects,
     &kResizePolicySchema,
     {},
     "of cpu and memory; without it a change is made while the container runs"},
    {"restartPolicy", Honoured, Type::String, nullptr, "Always",
     "of an init container only: it goes on beside the others, starts again whenever it ends, and "
     "is stopped after them"},
    {"restartPolicyRules", Refused, Type::Any, nullptr, {}, "set restartPolicy of the Pod"},
    {"stdin", Refused, Type::Boolean, nullptr, "false", kNobodyAttaches},
    {"stdinOnce", Refused, Type::Boolean, nullptr, "false", kNobodyAttaches},
    {"tty", Refused, Type::Boolean, nullptr, "false", kNobodyAttaches},
    {"terminationMessagePath",
     Honoured,
     Type::String,
     nullptr,
     {},
     "absolute; default /dev/termination-log"},
    {"terminationMessagePolicy", Honoured, Type::String, nullptr, "File|FallbackToLogsOnError"},
    {"volumeDevices", Refused, Type::Any, nullptr, {}, kLater},
};

}  // namespace

constexpr Schema kContainerSchema{"Container", kContainer};
constexpr Schema kResourcesSchema{"ResourceRequirements", kResources};
constexpr Schema kPodSecurityContextSchema{"PodSecurityContext", kPodSecurity};
constexpr Schema kSecurityContextSchema{"SecurityContext", kSecurity};

}  // namespace wherry::manifest
