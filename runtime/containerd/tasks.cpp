#include "runtime/containerd/convert.h"

namespace wherry::runtime {
namespace {

TaskState to_state(::containerd::v1::types::Status status) {
  switch (status) {
    case ::containerd::v1::types::CREATED:
      return TaskState::Created;
    case ::containerd::v1::types::RUNNING:
      return TaskState::Running;
    case ::containerd::v1::types::STOPPED:
      return TaskState::Stopped;
    case ::containerd::v1::types::PAUSED:
    case ::containerd::v1::types::PAUSING:
      return TaskState::Paused;
    default:
      return TaskState::Unknown;
  }
}

}  // namespace

TaskInfo to_info(const ::containerd::v1::types::Process& process) {
  TaskInfo info;
  // Get() fills container_id only with an exec id; `id` is the container's in both.
  info.container_id = process.id();
  info.state = to_state(process.status());
  info.pid = process.pid();
  info.exit_code = process.exit_status();
  info.exited_at = to_wall(process.exited_at());
  return info;
}

Tasks::Tasks(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

Result<uint32_t> Tasks::create(const std::string& container_id, const std::vector<Mount>& rootfs,
                               const TaskIo& io, const CancelToken* cancel) {
  rpc::tasks::CreateTaskRequest request;
  request.set_container_id(container_id);
  set_mounts(rootfs, *request.mutable_rootfs());
  request.set_stdout(io.stdout_uri);
  request.set_stderr(io.stderr_uri);
  const auto response = transport_->call(rpc::kTaskCreate, request, {kLong, "", cancel});
  if (!response) return fail(response.error());
  return response->pid();
}

Result<uint32_t> Tasks::start(const std::string& container_id, const CancelToken* cancel) {
  rpc::tasks::StartRequest request;
  request.set_container_id(container_id);
  const auto response = transport_->call(rpc::kTaskStart, request, {kLong, "", cancel});
  if (!response) return fail(response.error());
  return response->pid();
}

Status Tasks::kill(const std::string& container_id, int signal, bool all) {
  rpc::tasks::KillRequest request;
  request.set_container_id(container_id);
  request.set_signal(static_cast<uint32_t>(signal));
  request.set_all(all);
  return done(transport_->call(rpc::kTaskKill, request, {kShort}));
}

Result<uint32_t> Tasks::wait(const std::string& container_id, Duration timeout) {
  rpc::tasks::WaitRequest request;
  request.set_container_id(container_id);
  const auto response = transport_->call(rpc::kTaskWait, request, {timeout});
  if (!response) return fail(response.error());
  return response->exit_status();
}

Status Tasks::remove(const std::string& container_id) {
  rpc::tasks::DeleteTaskRequest request;
  request.set_container_id(container_id);
  return ignore_missing(done(transport_->call(rpc::kTaskDelete, request, {kLong})));
}

Result<TaskInfo> Tasks::get(const std::string& container_id) {
  rpc::tasks::GetRequest request;
  request.set_container_id(container_id);
  const auto response = transport_->call(rpc::kTaskGet, request, {kShort});
  if (!response) return fail(response.error());
  return to_info(response->process());
}

Status Tasks::update(const std::string& container_id, const std::string& resources_json) {
  // How containerd names the type of JSON that is no protobuf message (typeurl).
  constexpr const char* kType = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
  rpc::tasks::UpdateTaskRequest request;
  request.set_container_id(container_id);
  request.mutable_resources()->set_type_url(kType);
  request.mutable_resources()->set_value(resources_json);
  return done(transport_->call(rpc::kTaskUpdate, request, {kLong}));
}

Result<std::vector<TaskInfo>> Tasks::list() {
  const auto response = transport_->call(rpc::kTaskList, rpc::tasks::ListTasksRequest(), {kShort});
  if (!response) return fail(response.error());
  std::vector<TaskInfo> tasks;
  for (const auto& process : response->tasks()) tasks.push_back(to_info(process));
  return tasks;
}

}  // namespace wherry::runtime
