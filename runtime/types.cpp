#include <algorithm>

#include "base/quantity.h"
#include "runtime/runtime.h"

namespace wherry::runtime {
namespace {

int64_t sum(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

std::map<std::string, int64_t> extended_of(const PodSpec& pod) {
  std::map<std::string, int64_t> together, sidecars, most;
  for (const ContainerSpec& container : pod.containers) {
    for (const auto& [name, amount] : container.resources.extended) {
      if (container.role == ContainerRole::Init) {
        most[name] = std::max(most[name], sum(sidecars[name], amount));
        continue;
      }
      together[name] = sum(together[name], amount);
      if (container.role == ContainerRole::Sidecar) sidecars[name] = sum(sidecars[name], amount);
    }
  }
  for (const auto& [name, amount] : together) most[name] = std::max(most[name], amount);
  return most;
}

}  // namespace

bool same_size(const Resources& a, const Resources& b) {
  return a.cpu_limit_milli == b.cpu_limit_milli && a.cpu_request_milli == b.cpu_request_milli &&
         a.memory_limit == b.memory_limit && a.memory_request == b.memory_request;
}

std::optional<int64_t> huge_page_of(std::string_view resource) {
  constexpr std::string_view kPrefix = "hugepages-";
  if (!resource.starts_with(kPrefix)) return std::nullopt;
  const auto bytes = parse_quantity(resource.substr(kPrefix.size()));
  return bytes && *bytes > 0 ? std::optional(*bytes) : std::nullopt;
}

std::string full_name(const PodSpec& pod) {
  return pod.domain.empty() ? pod.hostname : pod.hostname + "." + pod.domain;
}

QosClass qos_class(const PodSpec& pod) {
  bool any = false;
  bool all = !pod.containers.empty();
  for (const ContainerSpec& container : pod.containers) {
    const Resources& has = container.resources;
    any = any || !same_size(has, {});
    all = all && has.cpu_limit_milli > 0 && has.cpu_request_milli == has.cpu_limit_milli &&
          has.memory_limit > 0 && has.memory_request == has.memory_limit;
  }
  if (!any) return QosClass::BestEffort;
  return all ? QosClass::Guaranteed : QosClass::Burstable;
}

Resources request_of(const PodSpec& pod) {
  const auto each = [](auto apply) {
    apply(&Resources::cpu_request_milli);
    apply(&Resources::memory_request);
    apply(&Resources::storage_request);
  };
  Resources together, sidecars, most;
  for (const ContainerSpec& container : pod.containers) {
    const Resources& own = container.resources;
    each([&](auto field) {
      if (container.role != ContainerRole::Init) together.*field = sum(together.*field, own.*field);
      if (container.role == ContainerRole::Sidecar)
        sidecars.*field = sum(sidecars.*field, own.*field);
      if (container.role != ContainerRole::Init) return;
      most.*field = std::max(most.*field, sum(sidecars.*field, own.*field));
    });
  }
  each([&](auto field) { most.*field = std::max(most.*field, together.*field); });
  most.extended = extended_of(pod);
  return most;
}

int oom_score_adj(const PodSpec& pod, const ContainerSpec& container, int64_t device_memory) {
  // Kubernetes, "Node out of memory behavior".
  constexpr int kGuaranteed = -997;
  constexpr int64_t kBestEffort = 1000, kLeastBurstable = 2, kMostBurstable = 999;
  const QosClass qos = qos_class(pod);
  if (qos == QosClass::Guaranteed) return kGuaranteed;
  if (qos == QosClass::BestEffort) return kBestEffort;
  const int64_t request = container.resources.memory_request;
  if (device_memory <= 0) return request > 0 ? kLeastBurstable : kMostBurstable;
  const auto share = static_cast<int64_t>(1000.0 * static_cast<double>(request) /
                                          static_cast<double>(device_memory));
  return static_cast<int>(std::clamp(kBestEffort - share, kLeastBurstable, kMostBurstable));
}

std::vector<ImageNeed> images_of(const PodSpec& pod) {
  std::vector<ImageNeed> needs;
  for (const ContainerSpec& container : pod.containers) {
    needs.push_back({container.image, container.pull_policy});
  }
  for (const Volume& volume : pod.volumes) {
    if (volume.kind == Volume::Kind::Image) needs.push_back({volume.image, volume.pull_policy});
  }
  return needs;
}

}  // namespace wherry::runtime
