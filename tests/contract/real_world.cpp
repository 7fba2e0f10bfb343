#include "tests/contract/real_world.h"

#include <csignal>
#include <filesystem>

#include "base/files.h"
#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr const char* kNamespace = "wherry";

// By value, so that a loop over it does not outlive what it loops over.
template <typename T>
std::vector<T> must(Result<std::vector<T>> result) {
  if (!result) throw std::runtime_error(result.error().full());
  return std::move(*result);
}

}  // namespace

RealWorld::RealWorld() : instance_("t" + random_hex(6)) {
  client_ = std::make_unique<Client>(ClientOptions{daemon_.socket(), kNamespace, "overlayfs"});
  images_ = make_containerd_backend(*client_, clock_);
  network_ = make_cni_network(
      {dir_ / "run", "/usr/lib/cni", dir_ / "cni", "10.93.0.0/24", "w" + instance_});
  volumes_ = std::make_unique<Volumes>(dir_ / "state", dir_ / "run");
  logs_ = std::make_unique<ContainerLogs>(
      LogOptions{dir_ / "state/logs", WHERRY_BIN_DIR "/wherry-logger", 1 << 20});
  import(image(), {});
  make_runtime();
}

RealWorld::~RealWorld() {
  if (daemon_.pid() < 0) daemon_.start();
  const auto pods = runtime_->observe();
  if (pods) {
    for (const PodStatus& pod : *pods) static_cast<void>(runtime_->remove_pod(pod.name));
  }
  static_cast<void>(runtime_->collect_leftovers({}));
}

void RealWorld::make_runtime() {
  runtime_ = make_pod_runtime(
      {*client_, *images_, *network_, *volumes_, *logs_, detect_host(), &shelf_.devices()},
      {dir_ / "run",
       "io.containerd.runc.v2",
       instance_,
       200,
       {},
       {},
       "boot-" + std::to_string(boots_),
       WHERRY_BIN_DIR "/wherry-pause"});
  execs_ = std::make_unique<ContainerExec>(*client_, dir_ / "run");
}

void RealWorld::restart_agent() {
  runtime_.reset();
  make_runtime();
}

void RealWorld::import(const std::string& name, const test::ImageOptions& options) {
  const std::string archive = dir_ / "image.tar";
  test::make_busybox_archive(archive, name, options);
  const auto result = daemon_.ctr(kNamespace, {"images", "import", archive});
  if (result.exit_code != 0) throw std::runtime_error("ctr images import: " + result.err);
}

void RealWorld::end_with_3(const ContainerStatus& container) {
  // Again and again: the first process of a container ignores what it has no trap for yet.
  const pid_t pid = static_cast<pid_t>(container.pid);
  if (pid <= 0) throw std::runtime_error("container " + container.id + " does not run");
  if (!test::wait_until([&] { return ::kill(pid, SIGUSR1) != 0; })) {
    throw std::runtime_error("container " + container.id + " does not end");
  }
}

void RealWorld::reboot() {
  runtime_.reset();
  for (const TaskInfo& task : must(client_->tasks().list())) {
    static_cast<void>(client_->tasks().kill(task.container_id, SIGKILL, true));
    static_cast<void>(client_->tasks().wait(task.container_id, std::chrono::seconds(20)));
    if (!client_->tasks().remove(task.container_id)) throw std::runtime_error("task delete");
  }
  for (const std::string& pod : must(network_->list())) {
    if (!network_->teardown(pod)) throw std::runtime_error("network teardown");
  }
  static_cast<void>(remove_tree(dir_ / "run"));
  ++boots_;
  make_runtime();
}

std::set<std::string> RealWorld::host_sides() {
  std::set<std::string> names;
  for (const auto& list : {network_->list(), volumes_->list(), logs_->list()}) {
    names.insert(list.value().begin(), list.value().end());
  }
  return names;
}

std::string RealWorld::leftovers() {
  std::string text;
  for (const auto& container : must(client_->containers().list({}))) {
    text += "container " + container.id + "\n";
  }
  for (const auto& task : must(client_->tasks().list())) {
    text += "task " + task.container_id + "\n";
  }
  for (const auto& snapshot : must(client_->snapshots().list({}))) {
    if (!snapshot.committed) text += "snapshot " + snapshot.name + "\n";
  }
  for (const auto& lease : must(client_->leases().list())) {
    if (lease.starts_with("wherry-")) text += "lease " + lease + "\n";
  }
  if (std::filesystem::exists(dir_ / "run/started") &&
      !std::filesystem::is_empty(dir_ / "run/started")) {
    text += "a start note\n";
  }
  return text;
}

std::string RealWorld::pod_leftovers() {
  std::string text = leftovers();
  for (const std::string hierarchy : {"memory", "pids", "systemd", "unified", ""}) {
    const std::string path = "/sys/fs/cgroup/" + hierarchy + "/wherry-" + instance_;
    if (std::filesystem::exists(path)) text += "cgroup " + path + "\n";
  }
  return text;
}

std::unique_ptr<RuntimeWorld> make_real_world() { return std::make_unique<RealWorld>(); }

}  // namespace wherry::runtime
