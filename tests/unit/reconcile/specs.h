#pragma once
// Short ways to say what a workload is and what was seen of it.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/reconcile/plan.h"

namespace wherry::test {

inline WorkloadSpec workload(const std::string& name, const std::string& version = "1",
                             std::vector<std::string> depends_on = {}) {
  WorkloadSpec spec;
  spec.source = "devices/d";
  spec.revision = 1;
  spec.depends_on = std::move(depends_on);
  spec.pod.name = name;
  spec.pod.hash = name + "-" + version;
  spec.pod.host_network = true;
  runtime::ContainerSpec container;
  container.name = "app";
  container.image = "img-" + version;
  spec.pod.containers.push_back(container);
  return spec;
}

inline SpecPtr share(WorkloadSpec spec) {
  spec.pod.labels = pod_labels(spec);
  return std::make_shared<const WorkloadSpec>(std::move(spec));
}

inline runtime::ContainerStatus running(const std::string& pod, const std::string& name,
                                        uint32_t attempt = 0) {
  runtime::ContainerStatus status;
  status.id = pod + "-" + name + "-" + std::to_string(attempt);
  status.pod = pod;
  status.name = name;
  status.attempt = attempt;
  status.state = runtime::ContainerState::Running;
  status.pid = 100;
  status.started_at = WallTime(std::chrono::seconds(1000));
  return status;
}

inline runtime::ContainerStatus exited(const std::string& pod, const std::string& name,
                                       int32_t code, uint32_t attempt = 0) {
  runtime::ContainerStatus status = running(pod, name, attempt);
  status.state = runtime::ContainerState::Exited;
  status.pid = 0;
  status.exit_code = code;
  status.finished_at = WallTime(std::chrono::seconds(1010));
  return status;
}

inline runtime::PodStatus pod_of(const WorkloadSpec& spec,
                                 std::vector<runtime::ContainerStatus> containers) {
  runtime::PodStatus pod;
  pod.name = spec.name();
  pod.hash = spec.pod.hash;
  pod.labels = pod_labels(spec);
  pod.network_ready = true;
  pod.containers = std::move(containers);
  return pod;
}

// Everything the planner looks at, owned.
struct Scene {
  std::map<std::string, SpecPtr> desired;
  std::map<std::string, runtime::PodStatus> observed;
  std::map<std::string, WorkloadMemory> memory;
  std::map<std::string, PullMemory> pulls;
  std::map<std::string, std::string> digests;
  std::set<std::string> held;
  MonoTime now{std::chrono::hours(1)};
  Capacity capacity{};  // unlimited
  std::shared_ptr<runtime::DeviceInventory> devices;

  void want(const WorkloadSpec& spec) {
    desired[spec.name()] = share(spec);
    memory[spec.name()].want(spec);
  }
  // Observed and remembered as running for a minute.
  void runs(const WorkloadSpec& spec) {
    std::vector<runtime::ContainerStatus> containers;
    for (const auto& container : spec.pod.containers) {
      containers.push_back(running(spec.name(), container.name));
      ContainerMemory& past = memory[spec.name()].containers[container.name];
      past.hash = spec.pod.hash;
      past.running_since = now - std::chrono::minutes(1);
      past.started_at = containers.back().started_at;
    }
    observed[spec.name()] = pod_of(spec, containers);
    memory[spec.name()].prepared_hash = spec.pod.hash;
  }
  // It is being stopped: SIGTERM was sent to all of it.
  void told(const std::string& name, Duration grace) {
    memory[name].kill_at = now + grace;
    for (const std::string& id : running_ids(observed[name])) memory[name].stops[id] = {};
  }
  void images_present(const std::string& name) {
    memory[name].images = ImagesState::Present;
    memory[name].missing.clear();
  }
  PlanInput input() const {
    return {desired, observed, memory, pulls, digests, held, now, capacity, devices};
  }
  Plan plan() const { return wherry::plan(input()); }
  Verdict verdict(const std::string& name) const { return plan().workloads.at(name); }
};

}  // namespace wherry::test
