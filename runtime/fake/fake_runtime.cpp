#include "runtime/fake/fake_runtime.h"

#include <algorithm>
#include <chrono>
#include <csignal>

#include "base/text.h"

namespace wherry::runtime {
namespace {

std::string label(const ContainerStatus& container) {
  return container.pod + "/" + container.name + "#" + std::to_string(container.attempt);
}

}  // namespace

FakeRuntime::FakeRuntime(FakeImages& images, const Clock& clock) : images_(images), clock_(clock) {}

Status FakeRuntime::begin(Op op, const std::string& pod, const CancelToken* cancel) {
  const auto wake = cancel == nullptr ? nullptr : cancel->on_cancel([this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  ++counts_[op];
  const auto cancelled = [&] { return cancel != nullptr && cancel->cancelled(); };
  if (hangs_locked(op, pod)) {
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !hangs_locked(op, pod) || cancelled(); });
    --waiting_;
  }
  Status status;
  const auto failure = std::find_if(failures_.begin(), failures_.end(), [&](const Failure& f) {
    return f.op == op && f.times > 0 && (f.pod.empty() || f.pod == pod);
  });
  if (cancelled()) {
    status = fail(Code::Cancelled, "cancelled");
  } else if (!connected_) {
    status = fail(Code::Unavailable, "container stack not reachable: " + disconnect_detail_);
  } else if (failure != failures_.end()) {
    --failure->times;
    status = fail(failure->error);
  }
  lock.unlock();  // before `wake` goes: its callback takes the same lock
  return status;
}

bool FakeRuntime::hangs_locked(Op op, const std::string& pod) const {
  return std::any_of(hanging_.begin(), hanging_.end(), [&](const auto& entry) {
    return entry.first == op && (entry.second.empty() || entry.second == pod);
  });
}

FakeRuntime::Container* FakeRuntime::find_locked(const std::string& id) {
  for (auto& [name, pod] : pods_) {
    const auto found = pod.containers.find(id);
    if (found != pod.containers.end()) return &found->second;
  }
  return nullptr;
}

Result<std::vector<PodStatus>> FakeRuntime::observe() {
  if (const Status status = begin(Op::Observe, "", nullptr); !status) return fail(status.error());
  const std::lock_guard lock(mutex_);
  std::vector<PodStatus> result;
  for (const auto& [name, pod] : pods_) {
    if (pod.containers.empty()) continue;
    PodStatus status;
    status.name = name;
    status.hash = pod.spec.hash;
    status.labels = pod.spec.labels;
    status.network_ready = pod.spec.host_network || pod.network;
    if (status.network_ready) status.ip = pod.ip;
    for (const auto& [id, container] : pod.containers) {
      status.containers.push_back(container.status);
      if (silent_.contains(name)) status.containers.back().state = ContainerState::Unknown;
    }
    result.push_back(std::move(status));
  }
  return result;
}

void FakeRuntime::silence(const std::string& pod, bool silent) {
  const std::lock_guard lock(mutex_);
  silent ? static_cast<void>(silent_.insert(pod)) : static_cast<void>(silent_.erase(pod));
}

Result<std::string> FakeRuntime::prepare_pod(const PodSpec& pod, CancelToken cancel) {
  if (const Status status = begin(Op::PreparePod, pod.name, &cancel); !status) {
    return fail(status.error());
  }
  const std::lock_guard lock(mutex_);
  history_.push_back("prepare " + pod.name);
  Pod& entry = pods_[pod.name];
  entry.prepared = true;
  entry.spec = pod;
  if (!pod.host_network && !entry.network) {
    entry.network = true;
    entry.ip = "10.89.0." + std::to_string(next_ip_++);
  }
  return entry.ip;
}

Result<ContainerStatus> FakeRuntime::start_container(const PodSpec& pod,
                                                     const ContainerSpec& container,
                                                     uint32_t attempt, CancelToken cancel) {
  if (const Status status = begin(Op::StartContainer, pod.name, &cancel); !status) {
    return fail(status.error());
  }
  const auto image = images_.find(container.image);
  if (!image) {
    return fail(
        image.error().wrap("start container " + container.name).with_reason("ImageNotPresent"));
  }
  const std::lock_guard lock(mutex_);
  return start_locked(pod, container, attempt, *image);
}

Result<ContainerStatus> FakeRuntime::start_locked(const PodSpec& pod,
                                                  const ContainerSpec& container, uint32_t attempt,
                                                  const Image& image) {
  const auto found = pods_.find(pod.name);
  if (found == pods_.end() || !found->second.prepared) {
    return fail(Code::FailedPrecondition, "pod " + pod.name + " is not prepared",
                "CreateContainerError");
  }
  Pod& entry = found->second;
  std::vector<HeldDevice> before;
  for (auto it = entry.containers.begin(); it != entry.containers.end();) {
    const ContainerStatus& existing = it->second.status;
    const bool same = existing.name == container.name;
    if (same && existing.state == ContainerState::Running && existing.attempt == attempt) {
      return existing;
    }
    if (same) before = existing.devices;
    it = same && existing.state != ContainerState::Running ? entry.containers.erase(it)
                                                           : std::next(it);
  }
  auto devices = devices_locked(pod, container, before);
  if (!devices) return fail(devices.error());
  ContainerStatus status;
  status.devices = std::move(*devices);
  status.id = pod.name + "-" + container.name + "-" + std::to_string(attempt);
  status.pod = pod.name;
  status.name = container.name;
  status.image = image.name;
  status.image_digest = image.digest;
  status.role = container.role;
  status.size = container.resources;
  status.attempt = attempt;
  status.state = ContainerState::Running;
  status.pid = next_pid_++;
  status.started_at = clock_.wall();
  history_.push_back("start " + label(status));
  entry.spec = pod;
  entry.containers[status.id] = {status, stubborn_.count(pod.name + "/" + container.name) > 0};
  changed_.notify_all();
  return status;
}

Result<std::vector<HeldDevice>> FakeRuntime::devices_locked(
    const PodSpec& pod, const ContainerSpec& container,
    const std::vector<HeldDevice>& before) const {
  if (!wants_devices(pod, container)) return std::vector<HeldDevice>();
  if (devices_ == nullptr) {
    return fail(Code::FailedPrecondition, "no devices are configured", "DeviceNotConfigured");
  }
  std::vector<HeldDevice> taken;
  for (const auto& [name, other] : pods_) {
    for (const auto& [id, each] : other.containers) {
      if (each.status.state != ContainerState::Running) continue;
      taken.insert(taken.end(), each.status.devices.begin(), each.status.devices.end());
    }
  }
  auto grant = devices_->choose(pod, container, taken, before);
  if (!grant) return fail(grant.error());
  return std::move(grant->held);
}

Event FakeRuntime::end_locked(Container& container, int exit_code, bool oom_killed) {
  ContainerStatus& status = container.status;
  status.state = ContainerState::Exited;
  status.pid = 0;
  status.exit_code = exit_code;
  status.oom_killed = oom_killed;
  status.finished_at = clock_.wall();
  changed_.notify_all();
  return Event{Event::Kind::ContainerExited, status.pod, status.id, ""};
}

Status FakeRuntime::signal_container(const std::string& container_id, int signal) {
  std::string pod;
  {
    const std::lock_guard lock(mutex_);
    if (const Container* container = find_locked(container_id)) pod = container->status.pod;
  }
  if (const Status status = begin(Op::SignalContainer, pod, nullptr); !status) return status;
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    Container* container = find_locked(container_id);
    if (container == nullptr || container->status.state != ContainerState::Running) {
      return fail(Code::NotFound, "container " + container_id + " does not run");
    }
    history_.push_back("signal " + label(container->status) + " " + std::to_string(signal));
    if (signal == SIGKILL || !container->ignores_signals) {
      events.push_back(end_locked(*container, 128 + signal, false));
    }
  }
  emit(events);
  return {};
}

Status FakeRuntime::resize(const PodSpec& pod, const ContainerSpec& container,
                           const std::string& container_id) {
  if (const Status status = begin(Op::Resize, pod.name, nullptr); !status) return status;
  const std::lock_guard lock(mutex_);
  Container* found = find_locked(container_id);
  if (found == nullptr || found->status.state != ContainerState::Running) {
    return fail(Code::NotFound, "container " + container_id + " does not run");
  }
  history_.push_back("resize " + label(found->status));
  found->status.size = container.resources;
  return {};
}

Status FakeRuntime::remove_container(const std::string& container_id) {
  std::string pod;
  {
    const std::lock_guard lock(mutex_);
    if (const Container* container = find_locked(container_id)) pod = container->status.pod;
  }
  if (const Status status = begin(Op::RemoveContainer, pod, nullptr); !status) return status;
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    Container* container = find_locked(container_id);
    if (container == nullptr) return {};
    history_.push_back("remove " + label(container->status));
    if (container->status.state == ContainerState::Running) {
      events.push_back(end_locked(*container, 128 + SIGKILL, false));
    }
    pods_[container->status.pod].containers.erase(container_id);
    changed_.notify_all();
  }
  emit(events);
  return {};
}

Status FakeRuntime::remove_pod(const std::string& pod) {
  if (const Status status = begin(Op::RemovePod, pod, nullptr); !status) return status;
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    history_.push_back("remove-pod " + pod);
    const auto found = pods_.find(pod);
    if (found == pods_.end()) return {};
    for (auto& [id, container] : found->second.containers) {
      if (container.status.state == ContainerState::Running) {
        events.push_back(end_locked(container, 128 + SIGKILL, false));
      }
    }
    pods_.erase(found);
    changed_.notify_all();
  }
  emit(events);
  return {};
}

Status FakeRuntime::collect_leftovers(const std::vector<std::string>& pods) {
  if (const Status status = begin(Op::CollectLeftovers, "", nullptr); !status) return status;
  const std::lock_guard lock(mutex_);
  history_.push_back("collect " + join(pods, ","));
  std::erase_if(pods_, [&](const auto& entry) {
    return entry.second.containers.empty() &&
           std::find(pods.begin(), pods.end(), entry.first) == pods.end();
  });
  return {};
}

void FakeRuntime::watch(EventSink sink) {
  Event first;
  {
    const std::lock_guard lock(mutex_);
    sink_ = sink;
    first.kind = connected_ ? Event::Kind::Connected : Event::Kind::Disconnected;
    first.detail = connected_ ? "" : disconnect_detail_;
  }
  sink(first);
}

Result<ExecResult> FakeRuntime::exec(const ExecRequest& request, CancelToken cancel) {
  std::unique_lock lock(mutex_);
  const Container* container = find_locked(request.container_id);
  if (container == nullptr || container->status.state != ContainerState::Running) {
    return fail(Code::NotFound, "container " + request.container_id + " does not run");
  }
  if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
  if (!connected_) return fail(Code::Unavailable, "container stack not reachable");
  if (request.argv.empty()) return fail(Code::InvalidArgument, "no command is given");
  const std::string& program = request.argv.front();
  if (program == "true" || program == "false") return ExecResult{program == "true" ? 0 : 1, "", ""};
  if (program == "echo") {
    std::string text = join({request.argv.begin() + 1, request.argv.end()}, " ") + "\n";
    return ExecResult{0, text.substr(0, request.max_output), ""};
  }
  if (program == "sleep") {
    return fail(Code::DeadlineExceeded, "not done within " + format_duration(request.timeout));
  }
  // The only scripts it knows are those that end its container with 3.
  if (program == "sh") {
    const ContainerStatus status = container->status;
    lock.unlock();
    exit_container(status.pod, status.name, 3);
    return fail(Code::NotFound, "container " + status.id + " has ended meanwhile");
  }
  return fail(Code::FailedPrecondition, "the container has no program \"" + program + "\"");
}

void FakeRuntime::emit(const std::vector<Event>& events) {
  EventSink sink;
  {
    const std::lock_guard lock(mutex_);
    if (!connected_) return;  // nobody hears of it; the next Connected makes them look
    sink = sink_;
  }
  if (!sink) return;
  for (const Event& event : events) sink(event);
}

void FakeRuntime::fail_next(Op op, Error error, size_t times, const std::string& pod) {
  const std::lock_guard lock(mutex_);
  failures_.push_back({op, pod, std::move(error), times});
}

void FakeRuntime::hang(Op op, const std::string& pod) {
  const std::lock_guard lock(mutex_);
  hanging_.emplace_back(op, pod);
}

void FakeRuntime::release() {
  const std::lock_guard lock(mutex_);
  hanging_.clear();
  changed_.notify_all();
}

bool FakeRuntime::wait_for_hanging(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return waiting_ >= count; });
}

bool FakeRuntime::exit_container(const std::string& pod, const std::string& container,
                                 int exit_code, bool oom_killed) {
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pods_.find(pod);
    if (found == pods_.end()) return false;
    for (auto& [id, entry] : found->second.containers) {
      if (entry.status.name != container || entry.status.state != ContainerState::Running) continue;
      if (oom_killed) events.push_back({Event::Kind::ContainerOom, pod, id, ""});
      events.push_back(end_locked(entry, exit_code, oom_killed));
      break;
    }
  }
  emit(events);
  return !events.empty();
}

void FakeRuntime::ignore_signals(const std::string& pod, const std::string& container) {
  const std::lock_guard lock(mutex_);
  stubborn_.insert(pod + "/" + container);
  const auto found = pods_.find(pod);
  if (found == pods_.end()) return;
  for (auto& [id, entry] : found->second.containers) {
    if (entry.status.name == container) entry.ignores_signals = true;
  }
}

void FakeRuntime::disconnect(const std::string& detail) {
  EventSink sink;
  {
    const std::lock_guard lock(mutex_);
    if (!connected_) return;
    connected_ = false;
    disconnect_detail_ = detail;
    sink = sink_;
  }
  if (sink) sink(Event{Event::Kind::Disconnected, "", "", detail});
}

void FakeRuntime::connect() {
  {
    const std::lock_guard lock(mutex_);
    if (connected_) return;
    connected_ = true;
  }
  emit({Event{Event::Kind::Connected, "", "", ""}});
}

void FakeRuntime::reboot() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, pod] : pods_) {
    pod.network = false;
    pod.prepared = false;
    for (auto& [id, container] : pod.containers) {
      end_locked(container, 255, false);
      container.status.finished_at = {};
      container.status.before_boot = true;
    }
  }
}

void FakeRuntime::lose_network(const std::string& pod) {
  const std::lock_guard lock(mutex_);
  pods_.at(pod).network = false;
}

void FakeRuntime::leave_behind(const std::string& pod) {
  const std::lock_guard lock(mutex_);
  Pod& entry = pods_[pod];
  entry.spec.name = pod;
  entry.prepared = true;
  entry.network = true;
}

std::vector<std::string> FakeRuntime::history() const {
  const std::lock_guard lock(mutex_);
  return history_;
}

void FakeRuntime::clear_history() {
  const std::lock_guard lock(mutex_);
  history_.clear();
}

size_t FakeRuntime::count(Op op) const {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(op);
  return found == counts_.end() ? 0 : found->second;
}

std::set<std::string> FakeRuntime::prepared() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> names;
  for (const auto& [name, pod] : pods_) {
    if (pod.prepared) names.insert(name);
  }
  return names;
}

}  // namespace wherry::runtime
