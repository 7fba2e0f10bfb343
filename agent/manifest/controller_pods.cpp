#include "agent/manifest/controller_pods.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace wherry {

std::string_view to_string(OwnerKind kind) {
  switch (kind) {
    case OwnerKind::None:
      return "";
    case OwnerKind::Deployment:
      return "Deployment";
    case OwnerKind::DaemonSet:
      return "DaemonSet";
    case OwnerKind::StatefulSet:
      return "StatefulSet";
    case OwnerKind::Job:
      return "Job";
    case OwnerKind::CronJob:
      return "CronJob";
  }
  return "";
}

namespace manifest {
namespace {

constexpr size_t kMinuteDigits = 8;  // of minutes since 1970, until 2160

PodItem named(const ControllerItem& item, const std::string& name) {
  PodItem pod = item.pod;
  pod.workload.owner = item.spec.owner;
  pod.workload.pod.name = name;
  if (pod.workload.pod.hostname.empty() && !pod.workload.pod.host_network) {
    pod.workload.pod.hostname = name;
  }
  name_own_claims(pod.workload.pod);
  return pod;
}

// Takes "-<digits>" from the end; the number, where it has no leading zeros.
std::optional<int64_t> take_number(std::string_view& name) {
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos) return {};
  const std::string_view digits = name.substr(dash + 1);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0) return {};
  if (digits.size() > 1 && digits[0] == '0') return {};
  name.remove_suffix(name.size() - dash);
  return number;
}

// Is `name` what is made from `base`, for a completion?
bool is_pod_of(const JobRules& rules, std::string_view base, std::string_view name) {
  if (rules.completions == 1) return name == base;
  const auto index = take_number(name);
  return index && name == base && *index < rules.completions.value_or(rules.parallelism);
}

}  // namespace

std::vector<std::string> replica_names(const ControllerItem& item) {
  const std::string& name = item.spec.owner.name;
  if (item.replicas == 1) return {name};
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(item.replicas));
  for (int i = 0; i < item.replicas; ++i) names.push_back(name + "-" + std::to_string(i));
  return names;
}

PodItem replica(const ControllerItem& item, const std::string& name) {
  PodItem pod = named(item, name);
  std::string_view rest = name;
  const int64_t ordinal = item.replicas == 1 ? 0 : take_number(rest).value_or(0);
  for (const ClaimTemplate& made : pod.claim_templates) {
    pod.workload.pod.volumes.at(made.index).claim =
        made.name + "-" + item.spec.owner.name + "-" + std::to_string(ordinal);
  }
  return pod;
}

PodItem job_template(const ControllerItem& item) {
  PodItem pod = named(item, std::string(kPodNameMark));
  pod.workload.claim = Claim::Once;
  return pod;
}

bool may_make(const ControllerItem& item, std::string_view name) {
  const OwnerKind kind = item.spec.owner.kind;
  const std::string& base = item.spec.owner.name;
  if (!name.starts_with(base)) return false;
  if (kind == OwnerKind::Job) return is_pod_of(item.spec.job, base, name);
  if (kind != OwnerKind::CronJob || name.size() < base.size() + 1 + kMinuteDigits) return false;
  const std::string_view job = name.substr(0, base.size() + 1 + kMinuteDigits);
  std::string_view rest = job;
  return take_number(rest) && rest == base && is_pod_of(item.spec.job, job, name);
}

}  // namespace manifest

WorkloadSpec instantiate(const WorkloadSpec& pod_template, const PodPlace& place,
                         std::string hash) {
  WorkloadSpec made = pod_template;
  const std::string index = std::to_string(place.index);
  const auto fill = [&](std::string& text) {
    replace_all(text, manifest::kPodNameMark, place.pod);
    replace_all(text, manifest::kJobNameMark, place.job);
    replace_all(text, manifest::kIndexMark, index);
  };
  fill(made.pod.name);
  fill(made.pod.hostname);
  for (runtime::ContainerSpec& container : made.pod.containers) {
    for (std::string& word : container.command) fill(word);
    for (std::string& word : container.args) fill(word);
    for (auto& [name, value] : container.env) fill(value);
    for (runtime::VolumeMount& mount : container.mounts) fill(mount.sub_path);
  }
  for (runtime::Volume& volume : made.pod.volumes) {
    fill(volume.claim);
    for (runtime::VolumeFile& file : volume.files) fill(file.content);
  }
  made.owner = {OwnerKind::Job, place.job};
  made.pod.hash = std::move(hash);
  return made;
}

}  // namespace wherry
