#include "runtime/pod/container_ops.h"

#include <csignal>
#include <optional>
#include <thread>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/quantity.h"
#include "base/text.h"
#include "runtime/device_amounts.h"
#include "runtime/network/host_address.h"

namespace wherry::runtime {
namespace {

constexpr const char* kCreateError = "CreateContainerError";
constexpr const char* kRunError = "RunContainerError";
// SIGKILL takes effect at once, but for a process in an uninterruptible wait on a bad disk.
constexpr Duration kDeath = std::chrono::seconds(30);
constexpr int kDeleteTries = 20;
constexpr Duration kDeletePause = std::chrono::milliseconds(100);

tl::unexpected<Error> fail_as(const Error& error, std::string context, const char* reason) {
  Error wrapped = error.wrap(std::move(context));
  return fail(wrapped.reason().empty() ? wrapped.with_reason(reason) : std::move(wrapped));
}

// Containerd that was killed while it made a task leaves the task's directory behind, and from then
// on makes none of that id. It has no code for this, only words.
bool lies_in_the_way(const Error& error) {
  const std::string words = error.full();
  return words.find("mkdir ") != std::string::npos &&
         words.find("file exists") != std::string::npos;
}

}  // namespace

Result<ContainerStatus> ContainerOps::start(const PodSpec& pod, const ContainerSpec& container,
                                            uint32_t attempt, const CancelToken& cancel) {
  const std::string what = "start container " + container.name;
  if (Status status = failpoint("pod.start.begin"); !status) return fail(status.error());
  auto image = context_.images.find(container.image);
  if (!image) return fail_as(image.error(), what, kCreateError);
  if (!image->artifact.empty()) {
    return fail(Code::InvalidArgument,
                what + ": image " + image->image.name + " is an OCI artifact (" +
                    printable(image->artifact, 100) +
                    "), which holds files and nothing to run; mount it as a volume "
                    "(volumes[].image.reference)",
                kCreateError);
  }
  Plan plan{pod, container, attempt, std::move(*image), "", {}, {}};
  plan.id = context_.identity.container_id(pod, container, attempt, plan.image.image.digest);
  if (context_.known.may_exist(pod.name, container.name)) {
    auto existing = settle_existing(plan);
    if (!existing) return fail(existing.error(), what);
    if (*existing) return **existing;
  }
  auto started = start_planned(plan, cancel);
  if (started) return started;
  if (started.error().code() == Code::AlreadyExists) {
    // Of an earlier attempt to do just this, unknown to us: look, then once more.
    auto existing = settle_existing(plan);
    if (!existing) return fail(existing.error(), what);
    if (*existing) return **existing;
    started = start_planned(plan, cancel);
    if (started) return started;
  }
  if (lies_in_the_way(started.error())) {
    plan.id.replace(plan.id.rfind('-') + 1, std::string::npos, random_hex(10));
    started = start_planned(plan, cancel);
    if (started) return started;
  }
  return fail(started.error(), what);
}

Result<std::optional<ContainerStatus>> ContainerOps::settle_existing(Plan& plan) {
  Client& client = context_.parts.client;
  const auto records =
      client.containers().list({context_.identity.filter(plan.pod.name, plan.container.name)});
  if (!records) return fail(records.error());
  std::optional<ContainerStatus> adopted;
  for (const ContainerRecord& record : *records) {
    const auto task = client.tasks().get(record.id);
    if (!task && task.error().code() != Code::NotFound) return fail(task.error());
    const bool runs =
        task && (task->state == TaskState::Running || task->state == TaskState::Paused);
    if (!runs) {
      plan.before = read_labels(record).status.devices;
      if (Status removed = remove(record.id); !removed) return fail(removed.error());
    } else if (read_labels(record).status.attempt == plan.attempt) {
      adopted = read_labels(record).status;
      adopted->state = ContainerState::Running;
      adopted->pid = task->pid;
      adopted->started_at = context_.notes.get(record.id).value_or(record.created_at);
      context_.known.add(record.id, plan.pod.name, plan.container.name);
    }
  }
  return adopted;
}

Result<ContainerStatus> ContainerOps::start_planned(Plan& plan, const CancelToken& cancel) {
  if (Status made = make_container(plan, cancel); !made) return fail(made.error());
  auto started = run(plan, cancel);
  if (started) return started;
  if (Status removed = remove(plan.id); !removed) {
    log_warn(
        "a container that did not start could not be removed yet",
        {{"workload", plan.pod.name}, {"container", plan.id}, {"error", removed.error().full()}});
  }
  return started;
}

Status ContainerOps::make_container(Plan& plan, const CancelToken& cancel) {
  std::unique_lock turn(context_.device_turn, std::defer_lock);
  if (wants_devices(plan.pod, plan.container)) {
    turn.lock();
    if (Status granted = grant_devices(plan); !granted)
      return fail_as(granted.error(), "devices", kCreateError);
  }
  const auto spec = make_spec(plan, cancel);
  if (!spec) return fail_as(spec.error(), "specification", kCreateError);
  Status created = create_record(plan, *spec, cancel);
  if (created) return {};
  // What is there already is not ours to undo.
  if (created.error().code() == Code::AlreadyExists) return created;
  static_cast<void>(remove(plan.id));
  return fail_as(created.error(), "create", kCreateError);
}

Status ContainerOps::grant_devices(Plan& plan) {
  if (context_.parts.devices == nullptr) {
    return fail(Code::FailedPrecondition, "no devices are configured", "DeviceNotConfigured");
  }
  const auto taken = taken_devices();
  if (!taken) return fail(taken.error());
  auto grant = context_.parts.devices->choose(plan.pod, plan.container, *taken, plan.before);
  if (!grant) return fail(grant.error());
  plan.grant = std::move(*grant);
  return {};
}

Result<std::vector<HeldDevice>> ContainerOps::taken_devices() {
  Client& client = context_.parts.client;
  const auto records = client.containers().list({context_.identity.filter_of_devices()});
  if (!records) return fail(records.error());
  std::vector<HeldDevice> taken;
  for (const ContainerRecord& record : *records) {
    const ContainerIdentity identity = read_labels(record);
    if (identity.boot_id != context_.identity.boot_id) continue;
    const auto task = client.tasks().get(record.id);
    if (!task && task.error().code() != Code::NotFound) return fail(task.error());
    // One without a task that was never started is about to be, or its remains are about to go.
    const bool dead =
        task ? task->state == TaskState::Stopped : context_.notes.get(record.id).has_value();
    if (dead) continue;
    taken.insert(taken.end(), identity.status.devices.begin(), identity.status.devices.end());
  }
  return taken;
}

Result<std::string> ContainerOps::make_spec(const Plan& plan, const CancelToken& cancel) {
  PodRuntimeParts& parts = context_.parts;
  ContainerSpec container = plan.container;
  if (Status filled = fill_marks(plan.pod, container); !filled) return fail(filled.error());
  if (plan.pod.data_api)
    container.env.insert(container.env.begin(), {kDataSocketVariable, kDataSocket});
  if (container.resources.pids_limit == 0) {
    container.resources.pids_limit = context_.options.default_pids_limit;
  }
  SpecInput input{plan.pod,
                  container,
                  plan.image.config,
                  parts.host,
                  context_.identity.cgroup(plan.pod.name, plan.id),
                  "",
                  "",
                  {},
                  context_.options.seccomp_dir,
                  parts.volumes.ipc_path(plan.pod),
                  plan.pod.share_processes ? context_.pids.path(plan.pod.name) : ""};
  if (!plan.pod.host_network) {
    const auto network = parts.network.status(plan.pod.name);
    if (!network) return fail(network.error(), "network of pod " + plan.pod.name);
    input.netns_path = network->netns_path;
  }
  auto mounts = parts.volumes.mounts(plan.pod, container);
  if (!mounts) return fail(mounts.error());
  input.mounts = std::move(*mounts);
  if (needs_rootfs(container, plan.image.config)) {
    const auto users = context_.images.users_of(plan.image, cancel);
    if (users) input.rootfs = *users;
    // Without it numbers still work; the specification says so where a name needs it.
    if (!users && users.error().code() != Code::FailedPrecondition) return fail(users.error());
  }
  auto spec = make_oci_spec(input);
  if (!spec || !wants_devices(plan.pod, container)) return spec;
  return with_devices(*spec, plan.grant);
}

// Where the environment, a command or a subPath asks for what is known only now.
Status ContainerOps::fill_marks(const PodSpec& pod, ContainerSpec& container) {
  std::optional<std::pair<std::string, std::string>> known;
  const auto fill_addresses = [&](std::string& text) {
    if (text.find(kPodIpMark) == std::string::npos && text.find(kHostIpMark) == std::string::npos) {
      return;
    }
    if (!known) {
      known.emplace(host_address(), host_address());
      const auto network = context_.parts.network.status(pod.name);
      if (!pod.host_network && network) known->first = network->ip;
    }
    replace_all(text, kPodIpMark, known->first);
    replace_all(text, kHostIpMark, known->second);
  };
  Status result;
  const auto fill = [&](std::string& text) {
    if (text.find('\x01') == std::string::npos) return;
    fill_addresses(text);
    fill_device_amounts(text);
    if (text.find(kPodUidMark) == std::string::npos) return;
    const auto uid = context_.parts.volumes.uid(pod.name);
    if (!uid) {
      result = fail(uid.error());
      return;
    }
    replace_all(text, kPodUidMark, *uid);
  };
  for (auto& [name, value] : container.env) fill(value);
  for (std::string& word : container.command) fill(word);
  for (std::string& word : container.args) fill(word);
  for (VolumeMount& mount : container.mounts) fill(mount.sub_path);
  return result;
}

Result<std::string> ContainerOps::runtime_of(const PodSpec& pod) const {
  if (pod.runtime_class.empty()) return context_.options.runtime_name;
  const auto found = context_.options.runtime_classes.find(pod.runtime_class);
  if (found != context_.options.runtime_classes.end()) return found->second;
  return fail(Code::FailedPrecondition,
              "runtime class " + pod.runtime_class + " is not in containerd.runtime_classes",
              "CreateContainerConfigError");
}

Status ContainerOps::create_record(const Plan& plan, const std::string& spec,
                                   const CancelToken& cancel) {
  Client& client = context_.parts.client;
  ContainerRecord record;
  record.id = plan.id;
  record.labels =
      context_.identity.labels(plan.pod, plan.container, plan.attempt, plan.image.image);
  const auto shown = context_.image_volumes.shown(plan.pod);
  if (!shown) return fail(shown.error());
  add_volume_images(*shown, record.labels);
  add_devices(plan.grant.held, record.labels);
  record.image = plan.image.image.name;
  const auto runtime = runtime_of(plan.pod);
  if (!runtime) return fail(runtime.error());
  record.runtime_name = *runtime;
  record.spec_json = spec;
  record.snapshotter = client.snapshots().snapshotter();
  record.snapshot_key = plan.id;
  if (Status created = client.containers().create(record, &cancel); !created) return created;
  context_.known.add(plan.id, plan.pod.name, plan.container.name);
  return {};
}

Result<std::vector<Mount>> ContainerOps::prepare_snapshot(const Plan& plan,
                                                          const CancelToken& cancel) {
  Snapshots& snapshots = context_.parts.client.snapshots();
  const StringMap labels{{"wherry/pod", plan.pod.name}};
  auto mounts = snapshots.prepare(plan.id, plan.image.chain_id, labels, "", &cancel);
  if (mounts) return mounts;
  if (mounts.error().code() == Code::AlreadyExists) {  // its record was deleted behind our back
    if (Status removed = snapshots.remove(plan.id); !removed) return fail(removed.error());
    return snapshots.prepare(plan.id, plan.image.chain_id, labels, "", &cancel);
  }
  if (mounts.error().code() == Code::NotFound) {
    context_.images.forget(plan.image.image.digest);
    return fail(mounts.error()
                    .wrap("image " + plan.image.image.name + " is not unpacked")
                    .with_reason("ImageNotPresent"));
  }
  return mounts;
}

Result<ContainerStatus> ContainerOps::run(const Plan& plan, const CancelToken& cancel) {
  Tasks& tasks = context_.parts.client.tasks();
  if (Status status = failpoint("pod.start.container-created"); !status) {
    return fail(status.error());
  }
  const auto mounts = prepare_snapshot(plan, cancel);
  if (!mounts) return fail_as(mounts.error(), "snapshot", kCreateError);
  if (Status status = failpoint("pod.start.snapshot-prepared"); !status) {
    return fail(status.error());
  }
  const std::string uri = context_.parts.logs.stdio_uri(plan.pod.name, plan.container.name);
  const auto pid = tasks.create(plan.id, *mounts, {uri, uri}, &cancel);
  if (!pid) return fail_as(pid.error(), "create task", kRunError);
  if (Status status = failpoint("pod.start.task-created"); !status) return fail(status.error());
  share_cpu(plan.pod);
  const auto noted = context_.notes.put(plan.id);
  if (!noted) return fail(noted.error());
  const auto started = tasks.start(plan.id, &cancel);
  if (!started) return fail_as(started.error(), "start task", kRunError);
  if (Status status = failpoint("pod.start.task-started"); !status) return fail(status.error());
  ContainerStatus status = status_of(plan);
  status.pid = *started;
  status.started_at = *noted;
  return status;
}

// Pods compete with each other by what they ask for, as their containers do inside of them.
void ContainerOps::share_cpu(const PodSpec& pod) {
  const int64_t shares = cpu_shares(request_of(pod).cpu_request_milli);
  static_cast<void>(
      context_.cgroups.set_cpu_shares(context_.identity.cgroup_of_pod(pod.name), shares));
}

ContainerStatus ContainerOps::status_of(const Plan& plan) const {
  ContainerStatus status;
  status.id = plan.id;
  status.pod = plan.pod.name;
  status.name = plan.container.name;
  status.image = plan.image.image.name;
  status.image_digest = plan.image.image.digest;
  status.role = plan.container.role;
  status.size = plan.container.resources;
  status.devices = plan.grant.held;
  status.attempt = plan.attempt;
  status.state = ContainerState::Running;
  return status;
}

// Under cgroup v2 the kernel would take the limit and kill until it holds; v1 refuses it.
Status ContainerOps::check_memory(const PodSpec& pod, const ContainerSpec& container,
                                  const std::string& id) {
  const int64_t limit = container.resources.memory_limit;
  const auto used = context_.cgroups.working_set(context_.identity.cgroup(pod.name, id));
  if (limit == 0 || !used || *used < limit) return {};
  return fail(Code::FailedPrecondition,
              "it holds " + format_bytes(*used) + " of memory, more than its new limit of " +
                  format_bytes(limit) + ": it keeps the former one until it needs less",
              "MemoryInUse");
}

Status ContainerOps::resize(const PodSpec& pod, const ContainerSpec& container,
                            const std::string& id) {
  Client& client = context_.parts.client;
  if (Status status = failpoint("pod.resize.begin"); !status) return status;
  auto record = client.containers().get(id);
  if (!record) return fail(record.error());
  const auto task = client.tasks().get(id);
  if (!task) return fail(task.error());
  if (task->state != TaskState::Running) return fail(Code::NotFound, id + " does not run");
  if (Status fits = check_memory(pod, container, id); !fits) return fits;
  const auto spec = resized_spec(record->spec_json, container.resources, context_.parts.host);
  if (!spec) return fail(spec.error());
  const Status updated =
      client.tasks().update(id, make_resize(container.resources, context_.parts.host));
  if (!updated) return fail(updated.error(), "change cpu and memory");
  if (Status status = failpoint("pod.resize.task-updated"); !status) return status;
  // Last: until then it is seen as not done, and done again.
  add_size(container.resources, record->labels);
  if (Status kept = client.containers().update(id, record->labels, *spec); !kept) return kept;
  share_cpu(pod);
  return {};
}

Status ContainerOps::stop_task(const std::string& id) {
  Tasks& tasks = context_.parts.client.tasks();
  const Status killed = tasks.kill(id, SIGKILL, true);
  if (killed) {
    const auto exited = tasks.wait(id, kDeath);
    if (!exited && exited.error().code() != Code::NotFound) {
      return fail(exited.error(), "wait for the end of " + id);
    }
  } else if (killed.error().code() != Code::NotFound) {
    // A dead process cannot be killed, and not every shim says so with NotFound.
    const auto task = tasks.get(id);
    const bool dead =
        task ? task->state == TaskState::Stopped : task.error().code() == Code::NotFound;
    if (!dead) return fail(killed.error(), "kill " + id);
  }
  if (Status status = failpoint("pod.remove.killed"); !status) return status;
  return delete_task(id);
}

Status ContainerOps::delete_task(const std::string& id) {
  Tasks& tasks = context_.parts.client.tasks();
  for (int tries = 1;; ++tries) {
    Status status = tasks.remove(id);
    if (status || status.error().code() == Code::Unavailable) return status;
    // Where the shim has died, the daemon is about to find out and deletes the task by itself.
    const auto task = tasks.get(id);
    if (!task && task.error().code() == Code::NotFound) return {};
    if (tries == kDeleteTries) return status;
    std::this_thread::sleep_for(kDeletePause);
  }
}

Status ContainerOps::remove(const std::string& id) {
  Client& client = context_.parts.client;
  if (Status status = failpoint("pod.remove.begin"); !status) return status;
  if (Status status = stop_task(id); !status) return status;
  if (Status status = failpoint("pod.remove.task-deleted"); !status) return status;
  if (Status status = client.snapshots().remove(id); !status) return status;
  if (Status status = failpoint("pod.remove.snapshot-removed"); !status) return status;
  context_.notes.erase(id);
  if (Status status = client.containers().remove(id); !status) return status;
  context_.known.erase(id);
  return failpoint("pod.remove.container-deleted");
}

}  // namespace wherry::runtime
