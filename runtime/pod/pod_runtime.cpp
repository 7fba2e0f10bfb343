#include "runtime/pod/pod_runtime.h"

#include <algorithm>
#include <csignal>
#include <set>

#include "base/failpoint.h"
#include "base/log.h"
#include "runtime/containerd/event_stream.h"
#include "runtime/pod/container_ops.h"
#include "runtime/pod/observer.h"

namespace wherry::runtime {
namespace {

// Beside those of the containers, whose names have a dash.
constexpr const char* kPauseCgroup = "pause";

Identity make_identity(const PodRuntimeOptions& options) {
  return {options.instance, options.boot_id.empty() ? kernel_boot_id() : options.boot_id};
}

// Remembers the first error and lets the rest be tried.
void keep_first(Status& first, Status next) {
  if (first && !next) first = std::move(next);
}

class PodRuntime final : public ContainerRuntime {
 public:
  PodRuntime(PodRuntimeParts parts, const PodRuntimeOptions& options)
      : context_{parts,
                 options,
                 make_identity(options),
                 Cgroups(),
                 StartNotes(options.run_dir + "/started"),
                 {},
                 ImageLookup(parts.client, parts.images, options.run_dir + "/users"),
                 ImageVolumes(parts.client, context_.images, parts.volumes, context_.identity),
                 SharedPids(options.run_dir + "/pids", options.pause_program)},
        containers_(context_) {}

  Result<std::vector<PodStatus>> observe() override { return observe_pods(context_); }

  Result<std::string> prepare_pod(const PodSpec& pod, CancelToken cancel) override {
    if (Status status = failpoint("pod.prepare.begin"); !status) return fail(status.error());
    PodAddress address;
    if (!pod.host_network) {
      auto network = context_.parts.network.setup(pod, cancel);
      if (!network) return fail(network.error(), "prepare pod " + pod.name);
      address = {std::move(network->ip), std::move(network->gateway)};
    }
    if (Status status = failpoint("pod.prepare.network"); !status) return fail(status.error());
    if (Status status = prepare_processes(pod); !status) {
      return fail(status.error(), "prepare pod " + pod.name);
    }
    if (Status status = context_.parts.volumes.prepare(pod, address); !status) {
      return fail(status.error(), "prepare pod " + pod.name);
    }
    if (Status status = context_.image_volumes.prepare(pod, cancel); !status) {
      return fail(status.error(), "prepare pod " + pod.name);
    }
    if (Status status = failpoint("pod.prepare.volumes"); !status) return fail(status.error());
    if (Status status = context_.parts.logs.prepare(pod.name); !status) {
      return fail(status.error(), "prepare pod " + pod.name);
    }
    if (Status status = failpoint("pod.prepare.logs"); !status) return fail(status.error());
    return std::move(address.ip);
  }

  Result<ContainerStatus> start_container(const PodSpec& pod, const ContainerSpec& container,
                                          uint32_t attempt, CancelToken cancel) override {
    return containers_.start(pod, container, attempt, cancel);
  }

  Status resize(const PodSpec& pod, const ContainerSpec& container,
                const std::string& container_id) override {
    return containers_.resize(pod, container, container_id);
  }

  Status signal_container(const std::string& container_id, int signal) override {
    return context_.parts.client.tasks().kill(container_id, signal, false);
  }

  Status remove_container(const std::string& container_id) override {
    if (Status status = containers_.remove(container_id); !status) {
      return fail(status.error(), "remove container " + container_id);
    }
    return {};
  }

  Status remove_pod(const std::string& pod) override {
    if (Status status = remove_containers_of(pod); !status) {
      return fail(status.error(), "remove pod " + pod);
    }
    if (Status status = failpoint("pod.remove.containers"); !status) return status;
    if (Status status = remove_host_side(pod); !status) {
      return fail(status.error(), "remove pod " + pod);
    }
    return {};
  }

  Status collect_leftovers(const std::vector<std::string>& pods) override;

  void watch(EventSink sink) override {
    events_ = std::make_unique<EventStream>(
        context_.parts.client,
        [this, sink = std::move(sink)](const DaemonEvent& event) { forward(event, sink); });
  }

 private:
  Status prepare_processes(const PodSpec& pod) {
    if (!pod.share_processes) return {};
    std::string netns;
    if (!pod.host_network) {
      const auto network = context_.parts.network.status(pod.name);
      if (!network) return fail(network.error());
      netns = network->netns_path;
    }
    const std::string cgroup = context_.identity.cgroup(pod.name, kPauseCgroup);
    return context_.pids.prepare(pod.name, netns, context_.cgroups.directories(cgroup));
  }

  Status remove_containers_of(const std::string& pod) {
    Client& client = context_.parts.client;
    const auto records = client.containers().list({context_.identity.filter(pod)});
    if (!records) return fail(records.error());
    // All are told to die before the first is waited for.
    if (records->size() > 1) {
      for (const ContainerRecord& record : *records) {
        static_cast<void>(client.tasks().kill(record.id, SIGKILL, true));
      }
    }
    for (const ContainerRecord& record : *records) {
      if (Status status = containers_.remove(record.id); !status) return status;
    }
    return {};
  }

  Status remove_host_side(const std::string& pod) {
    Status result = context_.pids.remove(pod);
    context_.cgroups.remove_empty(context_.identity.cgroup(pod, kPauseCgroup));
    keep_first(result, context_.parts.network.teardown(pod));
    keep_first(result, failpoint("pod.remove.network"));
    keep_first(result, context_.parts.volumes.remove(pod));
    keep_first(result, context_.image_volumes.remove(pod));
    keep_first(result, failpoint("pod.remove.volumes"));
    keep_first(result, context_.parts.logs.remove(pod));
    keep_first(result, failpoint("pod.remove.logs"));
    context_.cgroups.remove_empty(context_.identity.cgroup_of_pod(pod));
    context_.cgroups.remove_empty(context_.identity.cgroup_root());
    return result;
  }

  void forward(const DaemonEvent& event, const EventSink& sink) {
    using From = DaemonEvent::Kind;
    using To = Event::Kind;
    switch (event.kind) {
      case From::Connected:
        sink({To::Connected, "", "", ""});
        return;
      case From::Disconnected:
        sink({To::Disconnected, "", "", event.detail});
        return;
      case From::ImagesChanged:
        sink({To::ImagesChanged, "", "", ""});
        return;
      case From::TaskOom:
        context_.known.note_oom(event.container_id);
        sink({To::ContainerOom, context_.known.pod_of(event.container_id), event.container_id, ""});
        return;
      case From::TaskExit:
        sink({To::ContainerExited, context_.known.pod_of(event.container_id), event.container_id,
              ""});
        return;
    }
  }

  PodContext context_;
  ContainerOps containers_;
  std::unique_ptr<EventStream> events_;  // last: its thread uses the members above
};

Status PodRuntime::collect_leftovers(const std::vector<std::string>& pods) {
  const auto records = context_.parts.client.containers().list({context_.identity.filter()});
  if (!records) return fail(records.error());
  std::set<std::string> keep(pods.begin(), pods.end());
  std::set<std::string> ids;
  for (const ContainerRecord& record : *records) {
    keep.insert(read_labels(record).status.pod);
    ids.insert(record.id);
  }
  std::set<std::string> leftovers;
  Status result;
  for (const auto& names :
       {context_.parts.network.list(), context_.parts.volumes.list(), context_.image_volumes.list(),
        context_.parts.logs.list(), context_.pids.list()}) {
    if (names) {
      leftovers.insert(names->begin(), names->end());
    } else {
      keep_first(result, fail(names.error()));
    }
  }
  for (const std::string& name : context_.cgroups.children(context_.identity.cgroup_root())) {
    leftovers.insert(name);
  }
  for (const std::string& pod : leftovers) {
    if (keep.count(pod) > 0) continue;
    log_info("removing what a crash left of a workload", {{"workload", pod}});
    keep_first(result, remove_host_side(pod));
  }
  for (const std::string& id : context_.notes.list()) {
    if (ids.count(id) == 0) context_.notes.erase(id);
  }
  context_.parts.volumes.refresh_names();
  context_.images.clear_cache_dir();
  return result;
}

}  // namespace

std::unique_ptr<ContainerRuntime> make_pod_runtime(PodRuntimeParts parts,
                                                   PodRuntimeOptions options) {
  return std::make_unique<PodRuntime>(std::move(parts), options);
}

}  // namespace wherry::runtime
