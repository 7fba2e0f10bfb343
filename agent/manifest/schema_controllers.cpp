// The objects that own Pods (Kubernetes APIs apps/v1 and batch/v1).

#include "agent/manifest/schema.h"

namespace wherry::manifest {
namespace {

using enum Support;

constexpr std::string_view kLater = "not supported by this version: leave it out";
constexpr std::string_view kServerSet = "Kubernetes' API server writes it; there is none here";
constexpr std::string_view kNoHistory = "no earlier versions are kept beside the running one";
constexpr std::string_view kNoSurge =
    "Pods are replaced in place, so none is ever added; maxUnavailable decides";
constexpr std::string_view kInPlace =
    "a number, or a percentage of replicas rounded down; at least one, as Pods are replaced in "
    "place";

constexpr Field honoured(std::string_view name, Type type, std::string_view note = {},
                         const Schema* of = nullptr, bool required = false) {
  return {name, Honoured, type, of, {}, note, required};
}
constexpr Field one_of(std::string_view name, std::string_view values, std::string_view note = {}) {
  return {name, Honoured, Type::String, nullptr, values, note};
}
constexpr Field warned(std::string_view name, Type type, std::string_view note) {
  return {name, Warned, type, nullptr, {}, note};
}
constexpr Field refused(std::string_view name, Type type, std::string_view note,
                        std::string_view values = {}) {
  return {name, Refused, type, nullptr, values, note};
}

constexpr Field kTemplateMeta[] = {
    honoured("labels", Type::StringMap, "readable through fieldRef"),
    honoured("annotations", Type::StringMap,
             "readable through fieldRef; those under wherry/ belong here, not on the owner"),
    warned("name", Type::String, "the Pods are named after their owner"),
    {"namespace", Warned, Type::String, nullptr, "default", "a device has one namespace only"},
    warned("generateName", Type::String, "the Pods are named after their owner"),
    warned("finalizers", Type::Strings, kServerSet),
    warned("creationTimestamp", Type::String, kServerSet),
};

constexpr Field kPodTemplate[] = {
    honoured("metadata", Type::Object, {}, &kTemplateMetaSchema),
    honoured("spec", Type::Object, "as of a Pod", &kPodSpecSchema, true),
};

constexpr Field kRequirement[] = {
    honoured("key", Type::String, {}, nullptr, true),
    {"operator", Honoured, Type::String, nullptr, "In|NotIn|Exists|DoesNotExist", {}, true},
    honoured("values", Type::Strings),
};
constexpr Schema kRequirementSchema{"LabelSelectorRequirement", kRequirement};

constexpr Field kSelector[] = {
    honoured("matchLabels", Type::StringMap),
    honoured("matchExpressions", Type::Objects, {}, &kRequirementSchema),
};
constexpr Schema kSelectorSchema{"LabelSelector", kSelector};

constexpr std::string_view kSelectorNote = "must match the template's labels";

constexpr Field kRollingDeployment[] = {
    honoured("maxUnavailable", Type::Any, kInPlace),
    warned("maxSurge", Type::Any, kNoSurge),
};
constexpr Schema kRollingDeploymentSchema{"RollingUpdateDeployment", kRollingDeployment};

constexpr Field kDeploymentStrategy[] = {
    one_of("type", "RollingUpdate|Recreate"),
    honoured("rollingUpdate", Type::Object, {}, &kRollingDeploymentSchema),
};
constexpr Schema kDeploymentStrategySchema{"DeploymentStrategy", kDeploymentStrategy};

constexpr Field kDeploymentSpec[] = {
    honoured("replicas", Type::Integer,
             "0 to 250, default 1; one Pod bears the owner's name, several name-0, name-1 …"),
    honoured("selector", Type::Object, kSelectorNote, &kSelectorSchema, true),
    honoured("template", Type::Object, {}, &kPodTemplateSchema, true),
    honoured("strategy", Type::Object, {}, &kDeploymentStrategySchema),
    honoured("minReadySeconds", Type::Integer, "of a Pod, before the next is replaced"),
    refused("paused", Type::Boolean, kLater, "false"),
    warned("progressDeadlineSeconds", Type::Integer,
           "a rollout that does not go on says why at once, on its Pods"),
    warned("revisionHistoryLimit", Type::Integer, kNoHistory),
};
constexpr Schema kDeploymentSpecSchema{"Deployment.spec", kDeploymentSpec};

constexpr Field kRollingDaemonSet[] = {
    warned("maxUnavailable", Type::Any, "a device has one Pod of a DaemonSet"),
    warned("maxSurge", Type::Any, kNoSurge),
};
constexpr Schema kRollingDaemonSetSchema{"RollingUpdateDaemonSet", kRollingDaemonSet};

constexpr Field kDaemonSetStrategy[] = {
    one_of("type", "RollingUpdate", "OnDelete is not supported by this version"),
    honoured("rollingUpdate", Type::Object, {}, &kRollingDaemonSetSchema),
};
constexpr Schema kDaemonSetStrategySchema{"DaemonSetUpdateStrategy", kDaemonSetStrategy};

constexpr Field kDaemonSetSpec[] = {
    honoured("selector", Type::Object, kSelectorNote, &kSelectorSchema, true),
    honoured("template", Type::Object, "one Pod, named as the DaemonSet", &kPodTemplateSchema,
             true),
    honoured("updateStrategy", Type::Object, {}, &kDaemonSetStrategySchema),
    warned("minReadySeconds", Type::Integer, "there is no other Pod that would wait for it"),
    warned("revisionHistoryLimit", Type::Integer, kNoHistory),
};
constexpr Schema kDaemonSetSpecSchema{"DaemonSet.spec", kDaemonSetSpec};

constexpr Field kRollingStatefulSet[] = {
    refused("partition", Type::Integer, kLater, "0"),
    honoured("maxUnavailable", Type::Any, kInPlace),
};
constexpr Schema kRollingStatefulSetSchema{"RollingUpdateStatefulSetStrategy", kRollingStatefulSet};

constexpr Field kStatefulSetStrategy[] = {
    one_of("type", "RollingUpdate", "OnDelete is not supported by this version"),
    honoured("rollingUpdate", Type::Object, {}, &kRollingStatefulSetSchema),
};
constexpr Schema kStatefulSetStrategySchema{"StatefulSetUpdateStrategy", kStatefulSetStrategy};

constexpr Field kOrdinals[] = {refused("start", Type::Integer, kLater, "0")};
constexpr Schema kOrdinalsSchema{"StatefulSetOrdinals", kOrdinals};

constexpr std::string_view kClaimsStay =
    "claims outlive their Pods, and only a person removes them";
constexpr Field kRetention[] = {
    {"whenDeleted", Warned, Type::String, nullptr, "Retain", kClaimsStay},
    {"whenScaled", Warned, Type::String, nullptr, "Retain", kClaimsStay},
};
constexpr Schema kRetentionSchema{"StatefulSetPersistentVolumeClaimRetentionPolicy", kRetention};

constexpr Field kClaimTemplate[] = {
    {"apiVersion", Honoured, Type::String, nullptr, "v1"},
    {"kind", Honoured, Type::String, nullptr, "PersistentVolumeClaim"},
    honoured("metadata", Type::Object, "its name is that of a volume of the template",
             &kObjectMetaSchema, true),
    honoured("spec", Type::Object, "as of a PersistentVolumeClaim", &kClaimSpecSchema, true),
    warned("status", Type::Object, "the agent reports the state; it does not read it"),
};
constexpr Schema kClaimTemplateSchema{"StatefulSet.spec.volumeClaimTemplates", kClaimTemplate};

constexpr Field kStatefulSetSpec[] = {
    honoured("replicas", Type::Integer,
             "0 to 250, default 1; one Pod bears the owner's name, several name-0, name-1 …"),
    honoured("selector", Type::Object, kSelectorNote, &kSelectorSchema, true),
    honoured("template", Type::Object, {}, &kPodTemplateSchema, true),
    honoured("updateStrategy", Type::Object, "from the highest number down",
             &kStatefulSetStrategySchema),
    one_of("podManagementPolicy", "OrderedReady|Parallel",
           "OrderedReady (default): Pods start one after another; they are all stopped at once"),
    honoured("minReadySeconds", Type::Integer, "of a Pod, before the next is started or replaced"),
    honoured("ordinals", Type::Object, {}, &kOrdinalsSchema),
    warned("serviceName", Type::String,
           "every headless Service names the Pods that it chooses, whatever this says"),
    warned("revisionHistoryLimit", Type::Integer, kNoHistory),
    honoured("volumeClaimTemplates", Type::Objects,
             "a claim for each Pod, named as in Kubernetes: volume-owner-0, also where the one Pod "
             "bears the owner's name",
             &kClaimTemplateSchema),
    honoured("persistentVolumeClaimRetentionPolicy", Type::Object, {}, &kRetentionSchema),
};
constexpr Schema kStatefulSetSpecSchema{"StatefulSet.spec", kStatefulSetSpec};

constexpr Field kJobSpec[] = {
    honoured("template", Type::Object, "with restartPolicy OnFailure or Never", &kPodTemplateSchema,
             true),
    honoured("completions", Type::Integer,
             "1 to 10000; left out with parallelism: done when one Pod succeeded and all ended"),
    honoured("parallelism", Type::Integer, "0 to 250, default 1"),
    honoured("backoffLimit", Type::Integer,
             "default 6; the Job fails with one failure more, each end of a container counting"),
    honoured("activeDeadlineSeconds", Type::Integer, "the time the agent was down counts too"),
    honoured("ttlSecondsAfterFinished", Type::Integer,
             "its Pods are removed then; the Job stays finished while a document has it"),
    one_of("completionMode", "NonIndexed|Indexed",
           "Pods are name-0, name-1 … either way (name where completions is 1)"),
    honoured("suspend", Type::Boolean),
    one_of("podReplacementPolicy", "Failed|TerminatingOrFailed",
           "a Pod is replaced once it is gone"),
    refused("backoffLimitPerIndex", Type::Integer, kLater),
    refused("maxFailedIndexes", Type::Integer, kLater),
    refused("podFailurePolicy", Type::Any, kLater),
    refused("successPolicy", Type::Any, kLater),
    refused("managedBy", Type::String, kLater, "kubernetes.io/job-controller"),
    refused("manualSelector", Type::Boolean, kLater, "false"),
    refused("selector", Type::Any, kLater),
};

constexpr Field kJobTemplate[] = {
    honoured("metadata", Type::Object, {}, &kTemplateMetaSchema),
    honoured("spec", Type::Object, "as of a Job", &kJobSpecSchema, true),
};
constexpr Schema kJobTemplateSchema{"JobTemplateSpec", kJobTemplate};

constexpr Field kCronJobSpec[] = {
    honoured("schedule", Type::String,
             "minute hour day month weekday, or @hourly, @daily, @midnight, @weekly, @monthly, "
             "@yearly, @annually",
             nullptr, true),
    honoured("jobTemplate", Type::Object, {}, &kJobTemplateSchema, true),
    honoured("timeZone", Type::String, "a name of the tz database; default: UTC"),
    one_of("concurrencyPolicy", "Allow|Forbid|Replace"),
    honoured("startingDeadlineSeconds", Type::Integer),
    honoured("suspend", Type::Boolean),
    honoured("successfulJobsHistoryLimit", Type::Integer, "0 to 100, default 3"),
    honoured("failedJobsHistoryLimit", Type::Integer, "0 to 100, default 1"),
};
constexpr Schema kCronJobSpecSchema{"CronJob.spec", kCronJobSpec};

// Every object of a kind of its own: apiVersion, kind, metadata, spec, status.
constexpr Field api_version(std::string_view value) {
  return {"apiVersion", Honoured, Type::String, nullptr, value, {}, true};
}
constexpr Field kind_is(std::string_view value) {
  return {"kind", Honoured, Type::String, nullptr, value, {}, true};
}
constexpr Field kMetadata = honoured("metadata", Type::Object, {}, &kObjectMetaSchema, true);
constexpr Field spec_of(const Schema* schema) {
  return honoured("spec", Type::Object, {}, schema, true);
}
constexpr Field kStatus =
    warned("status", Type::Object, "the agent reports the state; it does not read it");

constexpr Field kDeployment[] = {api_version("apps/v1"), kind_is("Deployment"), kMetadata,
                                 spec_of(&kDeploymentSpecSchema), kStatus};
constexpr Field kDaemonSet[] = {api_version("apps/v1"), kind_is("DaemonSet"), kMetadata,
                                spec_of(&kDaemonSetSpecSchema), kStatus};
constexpr Field kStatefulSet[] = {api_version("apps/v1"), kind_is("StatefulSet"), kMetadata,
                                  spec_of(&kStatefulSetSpecSchema), kStatus};
constexpr Field kJob[] = {api_version("batch/v1"), kind_is("Job"), kMetadata,
                          spec_of(&kJobSpecSchema), kStatus};
constexpr Field kCronJob[] = {api_version("batch/v1"), kind_is("CronJob"), kMetadata,
                              spec_of(&kCronJobSpecSchema), kStatus};

}  // namespace

constexpr Schema kTemplateMetaSchema{"PodTemplate.metadata", kTemplateMeta};
constexpr Schema kPodTemplateSchema{"PodTemplate", kPodTemplate};
constexpr Schema kDeploymentSchema{"Deployment", kDeployment};
constexpr Schema kDaemonSetSchema{"DaemonSet", kDaemonSet};
constexpr Schema kStatefulSetSchema{"StatefulSet", kStatefulSet};
constexpr Schema kJobSchema{"Job", kJob};
constexpr Schema kJobSpecSchema{"Job.spec", kJobSpec};
constexpr Schema kCronJobSchema{"CronJob", kCronJob};

}  // namespace wherry::manifest
