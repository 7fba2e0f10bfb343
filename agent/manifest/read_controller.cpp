// Deployment, DaemonSet, StatefulSet, Job and CronJob.

#include <algorithm>
#include <charconv>

#include "agent/manifest/cron.h"
#include "agent/manifest/items.h"
#include "agent/manifest/names.h"

namespace wherry::manifest {
namespace {

constexpr int64_t kMaxReplicas = 250;
constexpr int64_t kMaxCompletions = 10'000;
constexpr int64_t kMaxCount = INT32_MAX;
constexpr int64_t kMaxSeconds = 10LL * 365 * 86400;
constexpr int64_t kMaxHistory = 100;
constexpr size_t kMaxLabel = 63;
// What a CronJob's Pods have after its name: the minute, and a completion index.
constexpr size_t kCronSuffix = 9;

std::optional<Duration> seconds(const Cursor& spec, std::string_view field) {
  const auto value = spec.integer_within(field, 0, kMaxSeconds);
  if (!value) return {};
  return std::chrono::seconds(*value);
}

int number(const Cursor& spec, std::string_view field, int64_t least, int64_t most,
           int64_t otherwise) {
  return static_cast<int>(spec.integer_within(field, least, most).value_or(otherwise));
}

// ---- labels ----

bool has_value(const Cursor& requirement, const std::string& value) {
  bool found = false;
  requirement.each("values", Kind::String,
                   [&](const Cursor& entry) { found = found || entry.node().text == value; });
  return found;
}

bool meets(const Cursor& requirement, const std::map<std::string, std::string>& labels) {
  const auto label = labels.find(std::string(requirement.string("key")));
  const bool there = label != labels.end();
  const std::string_view wanted = requirement.string("operator");
  if (wanted == "Exists") return there;
  if (wanted == "DoesNotExist") return !there;
  const bool in = there && has_value(requirement, label->second);
  return wanted == "In" ? in : !in;
}

void check_selector(const Cursor& spec, const PodItem& pod) {
  spec.with("selector", [&](const Cursor& selector) {
    size_t terms = 0;
    selector.each_string("matchLabels", [&](const Cursor& entry) {
      ++terms;
      const auto label = pod.labels.find(std::string(entry.node().key->text));
      if (label != pod.labels.end() && label->second == entry.node().text) return;
      entry.error(
          "does not match the labels of the template: write the same in "
          "template.metadata.labels");
    });
    selector.each("matchExpressions", Kind::Map, [&](const Cursor& requirement) {
      ++terms;
      if (!meets(requirement, pod.labels)) {
        requirement.error("does not match the labels of the template");
      }
    });
    if (terms == 0) selector.error("is empty: write matchLabels, as the template's labels are");
  });
}

// ---- Deployment, DaemonSet, StatefulSet ----

// A number or a percentage of the replicas, at least one.
int read_unavailable(const Cursor& rolling, int replicas) {
  const Node* value = rolling.get("maxUnavailable");
  if (value == nullptr) return std::max(1, replicas / 4);
  int64_t count = -1;
  if (const auto plain = to_integer(*value)) {
    count = *plain;
  } else if (value->kind == Kind::String && value->text.ends_with('%')) {
    const std::string_view digits = value->text.substr(0, value->text.size() - 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    const bool good = error == std::errc() && end == digits.data() + digits.size();
    count = good && count >= 0 && count <= 100 ? count * replicas / 100 : -1;
  }
  if (count < 0) {
    rolling.error_at("maxUnavailable", "must be a number, or a percentage such as 25%");
    return 1;
  }
  if (count == 0 && replicas > 0) {
    rolling.warning_at("maxUnavailable",
                       "comes to none, and Pods are replaced in place: one at a "
                       "time is unavailable while it is updated");
  }
  return static_cast<int>(std::clamp<int64_t>(count, 1, kMaxReplicas));
}

void read_strategy(const Cursor& strategy, ControllerItem& item) {
  RolloutRules& rules = item.spec.rollout;
  rules.recreate = strategy.string("type") == "Recreate";
  strategy.with("rollingUpdate", [&](const Cursor& rolling) {
    if (rules.recreate) rolling.error("goes with type RollingUpdate only: leave it out");
    if (item.spec.owner.kind == OwnerKind::DaemonSet) return;
    rules.max_unavailable = read_unavailable(rolling, item.replicas);
  });
}

void read_replicas(const Cursor& spec, ControllerItem& item) {
  RolloutRules& rules = item.spec.rollout;
  const OwnerKind kind = item.spec.owner.kind;
  item.replicas = number(spec, "replicas", 0, kMaxReplicas, 1);
  rules.min_ready = seconds(spec, "minReadySeconds").value_or(Duration::zero());
  rules.last_first = kind == OwnerKind::StatefulSet;
  rules.ordered = rules.last_first && spec.string("podManagementPolicy") != "Parallel";
  rules.max_unavailable = kind == OwnerKind::Deployment ? std::max(1, item.replicas / 4) : 1;
  const auto strategy = [&](const Cursor& at) { read_strategy(at, item); };
  spec.with(kind == OwnerKind::Deployment ? "strategy" : "updateStrategy", strategy);
  check_selector(spec, item.pod);
}

// ---- Job, CronJob ----

void add_job_labels(PodItem& pod, bool indexed) {
  for (const char* key : {"job-name", "batch.kubernetes.io/job-name"}) {
    pod.labels.emplace(key, std::string(kJobNameMark));
  }
  if (!indexed) return;
  const char* const key = "batch.kubernetes.io/job-completion-index";
  pod.labels.emplace(key, std::string(kIndexMark));
  pod.annotations.emplace(key, std::string(kIndexMark));
  for (ContainerItem& container : pod.containers) {
    const auto named = [](const EnvEntry& entry) { return entry.name == "JOB_COMPLETION_INDEX"; };
    if (std::any_of(container.env.begin(), container.env.end(), named)) continue;
    container.env.insert(container.env.begin(),
                         {"JOB_COMPLETION_INDEX", std::string(kIndexMark), {}});
  }
}

void read_completions(const Cursor& spec, ControllerItem& item) {
  JobRules& rules = item.spec.job;
  const bool indexed = spec.string("completionMode") == "Indexed";
  rules.parallelism = number(spec, "parallelism", 0, kMaxReplicas, 1);
  if (const auto completions = spec.integer_within("completions", 1, kMaxCompletions)) {
    rules.completions = static_cast<int>(*completions);
  } else if (spec.has("parallelism") && !spec.has("completions")) {
    rules.completions.reset();
    if (indexed) spec.error_at("completions", "is required with completionMode Indexed");
  }
  add_job_labels(item.pod, indexed);
}

void check_restart_policy(const Cursor& spec, const PodItem& pod, OwnerKind kind) {
  const bool job = kind == OwnerKind::Job || kind == OwnerKind::CronJob;
  const bool always = pod.workload.restart_policy == RestartPolicy::Always;
  const bool ends = !job && pod.workload.active_deadline;
  if (job != always && !ends) return;
  spec.with("template", [&](const Cursor& pods) {
    const auto complain = [&](const Cursor& pod_spec) {
      if (ends) {
        pod_spec.error_at("activeDeadlineSeconds",
                          "what is to run for ever has none; what is to end belongs in a Job or a "
                          "Pod: leave it out");
      }
      if (job != always) return;
      pod_spec.error_at("restartPolicy",
                        job ? "of a Job must be OnFailure or Never (the default is Always)"
                            : "must be Always here; what is to end belongs in a Job or a Pod");
    };
    pods.with("spec", complain);
  });
}

void read_job(const Cursor& spec, ControllerItem& item) {
  JobRules& rules = item.spec.job;
  rules.backoff_limit = number(spec, "backoffLimit", 0, kMaxCount, rules.backoff_limit);
  rules.active_deadline = seconds(spec, "activeDeadlineSeconds");
  rules.ttl = seconds(spec, "ttlSecondsAfterFinished");
  rules.suspend = spec.boolean("suspend");
  read_completions(spec, item);
  check_restart_policy(spec, item.pod, item.spec.owner.kind);
  const bool several = rules.parallelism > 1 && rules.completions.value_or(2) > 1;
  if (!several || item.pod.host_ports.empty()) return;
  spec.error_at("parallelism",
                "several Pods at a time cannot have one hostPort: write 1, or leave "
                "the hostPort out");
}

void read_with_template(const Cursor& spec, ControllerItem& item) {
  spec.with("template", [&](const Cursor& pods) { read_template(pods, item.pod); });
}

void read_cron_job(const Cursor& spec, ControllerItem& item) {
  CronRules& rules = item.spec.cron;
  rules.schedule = spec.string("schedule");
  rules.time_zone = spec.string("timeZone");
  if (spec.get("schedule", Kind::String) != nullptr) {
    const auto schedule = CronSchedule::parse(rules.schedule);
    if (!schedule) spec.error_at("schedule", schedule.error().message());
  }
  if (spec.get("timeZone", Kind::String) != nullptr) {
    const auto zone = TimeZone::find(rules.time_zone);
    if (!zone) spec.error_at("timeZone", zone.error().message());
  }
  using Concurrency = CronRules::Concurrency;
  const std::string_view policy = spec.string("concurrencyPolicy");
  if (policy == "Forbid") rules.concurrency = Concurrency::Forbid;
  if (policy == "Replace") rules.concurrency = Concurrency::Replace;
  rules.starting_deadline = seconds(spec, "startingDeadlineSeconds");
  rules.suspend = spec.boolean("suspend");
  rules.successful_limit = number(spec, "successfulJobsHistoryLimit", 0, kMaxHistory, 3);
  rules.failed_limit = number(spec, "failedJobsHistoryLimit", 0, kMaxHistory, 1);
  spec.with("jobTemplate", [&](const Cursor& job) {
    job.with("metadata", [&](const Cursor& metadata) {
      std::map<std::string, std::string> labels, annotations;
      read_metadata(metadata, false, labels, annotations);
    });
    job.with("spec", [&](const Cursor& job_spec) {
      read_with_template(job_spec, item);
      read_job(job_spec, item);
    });
  });
}

// ---- volumeClaimTemplates ----

void read_claim_templates(const Cursor& spec, PodItem& pod) {
  std::set<std::string, std::less<>> names;
  spec.each("volumeClaimTemplates", Kind::Map, [&](const Cursor& entry) {
    ClaimTemplate made;
    made.place = entry.place();
    entry.with("metadata", [&](const Cursor& metadata) {
      std::map<std::string, std::string> labels, annotations;
      read_metadata(metadata, false, labels, annotations);
      made.name = metadata.string("name");
      if (metadata.get("name", Kind::String) == nullptr) return;
      const std::string_view problem = dns_label_problem(made.name);
      if (!problem.empty()) {
        metadata.error_at("name", std::string(problem));
      } else if (!names.insert(made.name).second) {
        metadata.error_at("name", "two claims are named \"" + shown(made.name) + "\"");
      }
    });
    entry.with("spec", [&](const Cursor& claim_spec) {
      ClaimItem claim;
      read_claim_spec(claim_spec, claim);
      made.one_pod = claim.one_pod;
    });
    pod.claim_templates.push_back(std::move(made));
  });
}

// ---- names ----

size_t longest_name(const ControllerItem& item) {
  const std::string& name = item.spec.owner.name;
  const bool is_cron = item.spec.owner.kind == OwnerKind::CronJob;
  const bool is_job = is_cron || item.spec.owner.kind == OwnerKind::Job;
  const int pods =
      is_job ? item.spec.job.completions.value_or(item.spec.job.parallelism) : item.replicas;
  const bool one = is_job ? item.spec.job.completions == 1 : pods <= 1;
  return name.size() + (is_cron ? kCronSuffix : 0) +
         (one ? 0 : 1 + std::to_string(pods - 1).size());
}

void read_name(const Cursor& metadata, ControllerItem& item) {
  std::map<std::string, std::string> labels, annotations;
  read_metadata(metadata, false, labels, annotations);
  item.spec.owner.name = metadata.string("name");
  const Node* name = metadata.get("name", Kind::String);
  if (name == nullptr) return;
  item.name_place = {Cursor(metadata, "name", *name).place()};
  const std::string_view problem = dns_label_problem(item.spec.owner.name);
  if (!problem.empty()) return metadata.error_at("name", std::string(problem));
  const size_t longest = longest_name(item);
  if (longest <= kMaxLabel) return;
  metadata.error_at("name", "is too long by " + std::to_string(longest - kMaxLabel) +
                                ": the names of its Pods are made from it, and may have 63 "
                                "characters");
}

}  // namespace

ControllerItem read_controller(const Cursor& object, OwnerKind kind) {
  ControllerItem item;
  item.spec.owner.kind = kind;
  item.pod.name_space = read_name_space(object);
  object.with("spec", [&](const Cursor& spec) {
    if (kind == OwnerKind::CronJob) return read_cron_job(spec, item);
    if (kind == OwnerKind::StatefulSet) read_claim_templates(spec, item.pod);
    read_with_template(spec, item);
    if (kind == OwnerKind::Job) return read_job(spec, item);
    read_replicas(spec, item);
    check_restart_policy(spec, item.pod, kind);
  });
  object.with("metadata", [&](const Cursor& metadata) { read_name(metadata, item); });
  return item;
}

}  // namespace wherry::manifest
