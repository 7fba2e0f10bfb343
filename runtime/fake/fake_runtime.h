#pragma once
// A container stack in memory that keeps the promises of runtime.h and breaks them when a test says
// so. Thread-safe. Events are delivered on the thread that causes them, with no lock held.

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "runtime/device/host_devices.h"
#include "runtime/fake/fake_images.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

class FakeRuntime final : public Runtime, public Execs, public Resizer {
 public:
  enum class Op {
    Observe,
    PreparePod,
    StartContainer,
    SignalContainer,
    RemoveContainer,
    RemovePod,
    CollectLeftovers,
    Resize
  };

  // start_container() wants the image to be in `images`. Both must outlive the fake.
  FakeRuntime(FakeImages& images, const Clock& clock);

  Result<std::vector<PodStatus>> observe() override;
  Result<std::string> prepare_pod(const PodSpec& pod, CancelToken cancel) override;
  Result<ContainerStatus> start_container(const PodSpec& pod, const ContainerSpec& container,
                                          uint32_t attempt, CancelToken cancel) override;
  Status signal_container(const std::string& container_id, int signal) override;
  Status remove_container(const std::string& container_id) override;
  Status remove_pod(const std::string& pod) override;
  Status collect_leftovers(const std::vector<std::string>& pods) override;
  void watch(EventSink sink) override;
  Status resize(const PodSpec& pod, const ContainerSpec& container,
                const std::string& container_id) override;
  // Knows "true", "false", "echo WORDS", "sleep SECONDS" (never done in time); has no other
  // program.
  Result<ExecResult> exec(const ExecRequest& request, CancelToken cancel) override;

  // From now on containers get devices of these. Must outlive the fake.
  void use(HostDevices& devices) { devices_ = &devices; }

  // --- what the test controls. An empty `pod` means any Pod.
  // The next `times` calls of this kind fail with `error` and change nothing.
  void fail_next(Op op, Error error, size_t times = 1, const std::string& pod = "");
  // Calls of this kind wait until release() or until they are cancelled (those that can be).
  void hang(Op op, const std::string& pod = "");
  void release();
  // Waits until `count` calls hang; false after ten seconds.
  [[nodiscard]] bool wait_for_hanging(size_t count);

  // The container's process ends by itself. False when none of that name runs.
  bool exit_container(const std::string& pod, const std::string& container, int exit_code,
                      bool oom_killed = false);
  // SIGTERM and the like do nothing to it; SIGKILL still does.
  void ignore_signals(const std::string& pod, const std::string& container);
  // Nobody answers for the Pod's containers: their state is not known, and they go on.
  void silence(const std::string& pod, bool silent);
  // A stopped container stack: every call fails with Unavailable, containers go on.
  void disconnect(const std::string& detail = "connection refused");
  void connect();
  // Somebody removed its network namespace.
  void lose_network(const std::string& pod);
  // A reboot of the device: processes and network namespaces are gone, and with them how the
  // containers ended; the containers are not.
  void reboot();
  // Host side things of a Pod nobody knows, as a crash leaves them.
  void leave_behind(const std::string& pod);

  // --- what the test asks
  // One line for each call that got through: "prepare web", "start web/app#0",
  // "signal web/app#0 15", "resize web/app#0", "remove web/app#0", "remove-pod web", "collect
  // web,db". observe() is counted only.
  std::vector<std::string> history() const;
  void clear_history();
  size_t count(Op op) const;               // calls begun, failed ones too
  std::set<std::string> prepared() const;  // Pods with a host side

 private:
  struct Container {
    ContainerStatus status;
    bool ignores_signals = false;
  };
  struct Pod {
    PodSpec spec;
    bool prepared = false;
    bool network = false;
    std::string ip;
    std::map<std::string, Container> containers;  // by id
  };
  struct Failure {
    Op op;
    std::string pod;
    Error error;
    size_t times;
  };

  Status begin(Op op, const std::string& pod, const CancelToken* cancel);
  Container* find_locked(const std::string& id);
  Result<ContainerStatus> start_locked(const PodSpec& pod, const ContainerSpec& container,
                                       uint32_t attempt, const Image& image);
  Event end_locked(Container& container, int exit_code, bool oom_killed);
  Result<std::vector<HeldDevice>> devices_locked(const PodSpec& pod, const ContainerSpec& container,
                                                 const std::vector<HeldDevice>& before) const;
  bool hangs_locked(Op op, const std::string& pod) const;
  void emit(const std::vector<Event>& events);

  FakeImages& images_;
  const Clock& clock_;
  HostDevices* devices_ = nullptr;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Pod> pods_;
  std::vector<Failure> failures_;
  std::vector<std::pair<Op, std::string>> hanging_;
  std::set<std::string> stubborn_;  // pod/container
  std::set<std::string> silent_;    // Pods
  std::vector<std::string> history_;
  std::map<Op, size_t> counts_;
  size_t waiting_ = 0;
  uint32_t next_pid_ = 1000;
  uint32_t next_ip_ = 2;
  bool connected_ = true;
  std::string disconnect_detail_;
  EventSink sink_;
};

}  // namespace wherry::runtime
