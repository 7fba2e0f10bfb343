#include "runtime/pod/observer.h"

#include <map>

namespace wherry::runtime {
namespace {

// Kubernetes' bounds on what is taken from a log.
constexpr int64_t kLogLines = 80;
constexpr size_t kLogBytes = 2048;
constexpr int kUnknownExit = 255;  // as containerd says it for a process it lost

void apply_task(const TaskInfo& task, ContainerStatus& status) {
  switch (task.state) {
    case TaskState::Created:
      status.state = ContainerState::Created;
      return;
    case TaskState::Running:
    case TaskState::Paused:
      status.state = ContainerState::Running;
      status.pid = task.pid;
      return;
    case TaskState::Stopped:
      status.state = ContainerState::Exited;
      status.exit_code = static_cast<int32_t>(task.exit_code);
      status.finished_at = task.exited_at;
      return;
    case TaskState::Unknown:
      status.state = ContainerState::Unknown;
      return;
  }
}

void set_lost(ContainerStatus& status) {
  status.state = ContainerState::Exited;
  status.exit_code = kUnknownExit;
}

class Look {
 public:
  explicit Look(PodContext& context) : context_(context) {}

  Result<std::vector<PodStatus>> pods() {
    // Records before tasks: the other way round a container started in between would look dead.
    const auto records = context_.parts.client.containers().list({context_.identity.filter()});
    if (!records) return fail(records.error());
    if (!records->empty()) {
      const auto tasks = context_.parts.client.tasks().list();
      if (!tasks) return fail(tasks.error());
      for (const TaskInfo& task : *tasks) tasks_[task.container_id] = task;
    }
    for (const ContainerRecord& record : *records) {
      if (Status added = add(record); !added) return fail(added.error());
    }
    std::vector<PodStatus> result;
    for (auto& [name, pod] : pods_) {
      add_network(pod);
      result.push_back(std::move(pod.status));
    }
    return result;
  }

 private:
  struct Pod {
    PodStatus status;
    bool host_network = false;
    WallTime newest{};
  };

  Status add(const ContainerRecord& record) {
    ContainerIdentity identity = read_labels(record);
    if (identity.status.pod.empty()) return {};
    if (Status status = fill_state(record, identity); !status) return status;
    const bool first = pods_.count(identity.status.pod) == 0;
    Pod& pod = pods_[identity.status.pod];
    pod.status.name = identity.status.pod;
    // Containers of different specifications, as a crash in a replacement could leave them, are no
    // Pod anybody wants: no hash equals the empty one.
    if (first) pod.status.hash = identity.hash;
    if (pod.status.hash != identity.hash) pod.status.hash.clear();
    if (first || record.created_at > pod.newest) {
      pod.newest = record.created_at;
      pod.status.labels = std::move(identity.pod_labels);
      pod.host_network = identity.host_network;
    }
    pod.status.volume_images.merge(identity.volume_images);
    pod.status.containers.push_back(std::move(identity.status));
    return {};
  }

  Status fill_state(const ContainerRecord& record, ContainerIdentity& identity) {
    ContainerStatus& status = identity.status;
    const auto noted = context_.notes.get(record.id);
    status.started_at = noted.value_or(record.created_at);
    const auto found = tasks_.find(record.id);
    if (found != tasks_.end()) {
      apply_task(found->second, status);
    } else if (identity.boot_id != context_.identity.boot_id) {
      set_lost(status);
      status.before_boot = true;
    } else if (!noted) {
      status.state = ContainerState::Created;
    } else {
      // The list leaves out tasks whose shim is too slow to answer. Only a clear no means dead.
      const auto task = context_.parts.client.tasks().get(record.id);
      if (task) {
        apply_task(*task, status);
      } else if (task.error().code() == Code::NotFound) {
        set_lost(status);
      } else if (task.error().code() == Code::Unavailable) {
        return fail(task.error());
      } else {
        status.state = ContainerState::Unknown;
      }
    }
    if (status.state == ContainerState::Exited) read_message(identity);
    const bool failed = status.state == ContainerState::Exited && status.exit_code != 0;
    status.oom_killed =
        failed && (context_.known.had_oom(record.id) ||
                   context_.cgroups.oom_killed(context_.identity.cgroup(status.pod, record.id)));
    return {};
  }

  void read_message(ContainerIdentity& identity) {
    ContainerStatus& status = identity.status;
    status.message = context_.parts.volumes.read_message(status.pod, status.name);
    if (!status.message.empty() || status.exit_code == 0 || !identity.message_from_logs) return;
    LogQuery last{status.pod, status.name};
    last.tail = kLogLines;
    const auto read =
        context_.parts.logs.read(last,
                                 [&](std::string_view lines) {
                                   status.message += lines;
                                   if (status.message.size() > kLogBytes) {
                                     status.message.erase(0, status.message.size() - kLogBytes);
                                   }
                                   return true;
                                 },
                                 {});
    if (!read) status.message.clear();
  }

  void add_network(Pod& pod) {
    pod.status.network_ready = pod.host_network;
    if (pod.host_network) return;
    const auto network = context_.parts.network.status(pod.status.name);
    if (!network) return;
    pod.status.network_ready = true;
    pod.status.ip = network->ip;
  }

  PodContext& context_;
  std::map<std::string, TaskInfo> tasks_;
  std::map<std::string, Pod> pods_;
};

}  // namespace

Result<std::vector<PodStatus>> observe_pods(PodContext& context) {
  const uint64_t look = context.known.begin_look();
  auto pods = Look(context).pods();
  if (pods) context.known.finish_look(look, *pods);
  return pods;
}

}  // namespace wherry::runtime
