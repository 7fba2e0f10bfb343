#pragma once
// The Pod runtime on a containerd of its own, with everything it is made of within reach.

#include <memory>
#include <optional>
#include <string>

#include "runtime/containerd/image_backend.h"
#include "runtime/pod/container_exec.h"
#include "runtime/pod/pod_runtime.h"
#include "tests/contract/runtime_world.h"
#include "tests/support/containerd_daemon.h"
#include "tests/support/test_image.h"

namespace wherry::runtime {

class RealWorld final : public RuntimeWorld {
 public:
  RealWorld();
  ~RealWorld() override;

  Runtime& runtime() override { return *runtime_; }
  Execs& execs() override { return *execs_; }
  Resizer& resizer() override { return *runtime_; }
  std::string image() const override { return "registry.local/busybox:1"; }
  void end_with_3(const ContainerStatus& container) override;
  void disconnect() override { daemon_.stop(); }
  void connect() override { daemon_.start(); }
  void reboot() override;
  void plug(const std::string& name, const std::string& like) override { shelf_.plug(name, like); }
  void unplug(const std::string& name) override { shelf_.unplug(name); }
  std::set<std::string> host_sides() override;

  // --- for the tests of the real thing only
  test::ContainerdDaemon& daemon() { return daemon_; }
  Client& client() { return *client_; }
  ContainerLogs& logs() { return *logs_; }
  DeviceShelf& shelf() { return shelf_; }
  std::string instance() const { return instance_; }
  std::string run_dir() const { return dir_ / "run"; }
  std::string state_dir() const { return dir_ / "state"; }
  void import(const std::string& name, const test::ImageOptions& options);
  // The agent is gone without a word, and another one starts.
  void restart_agent();
  // Containers, tasks, snapshots, leases, notes: one line each. Empty when no container is left.
  std::string leftovers();
  // Those, and the cgroup directories of this instance. Empty when no Pod is left.
  std::string pod_leftovers();

 private:
  void make_runtime();

  test::ContainerdDaemon daemon_;
  test::TempDir dir_;
  SystemClock clock_;
  DeviceShelf shelf_;
  const std::string instance_;
  int boots_ = 1;
  std::unique_ptr<Client> client_;
  std::unique_ptr<ImageBackend> images_;
  std::unique_ptr<PodNetwork> network_;
  std::unique_ptr<Volumes> volumes_;
  std::unique_ptr<ContainerLogs> logs_;
  std::unique_ptr<ContainerRuntime> runtime_;
  std::unique_ptr<ContainerExec> execs_;
};

}  // namespace wherry::runtime
