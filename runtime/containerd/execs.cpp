#include <algorithm>

#include "runtime/containerd/convert.h"

namespace wherry::runtime {
namespace {

// How containerd names the type of JSON that is no protobuf message (typeurl).
constexpr const char* kProcessType = "types.containerd.io/opencontainers/runtime-spec/1/Process";

}  // namespace

Status Tasks::exec(const std::string& container_id, const std::string& exec_id,
                   const std::string& process_json, const TaskIo& io) {
  rpc::tasks::ExecProcessRequest request;
  request.set_container_id(container_id);
  request.set_exec_id(exec_id);
  request.set_stdout(io.stdout_uri);
  request.set_stderr(io.stderr_uri);
  request.mutable_spec()->set_type_url(kProcessType);
  request.mutable_spec()->set_value(process_json);
  return done(transport_->call(rpc::kTaskExec, request, {kShort}));
}

Status Tasks::start_exec(const std::string& container_id, const std::string& exec_id) {
  rpc::tasks::StartRequest request;
  request.set_container_id(container_id);
  request.set_exec_id(exec_id);
  return done(transport_->call(rpc::kTaskStart, request, {kShort}));
}

Result<TaskInfo> Tasks::get_exec(const std::string& container_id, const std::string& exec_id) {
  rpc::tasks::GetRequest request;
  request.set_container_id(container_id);
  request.set_exec_id(exec_id);
  const auto response = transport_->call(rpc::kTaskGet, request, {kShort});
  if (!response) return fail(response.error());
  return to_info(response->process());
}

Status Tasks::kill_exec(const std::string& container_id, const std::string& exec_id, int signal) {
  rpc::tasks::KillRequest request;
  request.set_container_id(container_id);
  request.set_exec_id(exec_id);
  request.set_signal(static_cast<uint32_t>(signal));
  return done(transport_->call(rpc::kTaskKill, request, {kShort}));
}

Result<uint32_t> Tasks::wait_exec(const std::string& container_id, const std::string& exec_id,
                                  Duration timeout) {
  rpc::tasks::WaitRequest request;
  request.set_container_id(container_id);
  request.set_exec_id(exec_id);
  const Duration least = std::chrono::milliseconds(1);
  const auto response =
      transport_->call(rpc::kTaskWait, request, {std::max<Duration>(timeout, least)});
  if (!response) return fail(response.error());
  return response->exit_status();
}

Status Tasks::remove_exec(const std::string& container_id, const std::string& exec_id) {
  rpc::tasks::DeleteProcessRequest request;
  request.set_container_id(container_id);
  request.set_exec_id(exec_id);
  return ignore_missing(done(transport_->call(rpc::kTaskDeleteProcess, request, {kShort})));
}

}  // namespace wherry::runtime
