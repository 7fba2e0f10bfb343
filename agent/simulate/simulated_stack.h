#pragma once
// The container stack of a simulated device: the fake one, with containers that end by themselves
// and pulls that fail where they are told to.

#include <functional>
#include <string>
#include <vector>

#include "runtime/fake/fake_runtime.h"

namespace wherry::simulate {

// Finds every image that is well named, unless pulls fail.
class SimulatedImages final : public runtime::Images {
 public:
  explicit SimulatedImages(bool pulls_fail) : pulls_fail_(pulls_fail) {}

  Result<runtime::Image> find(const std::string& reference) override {
    return store_.find(reference);
  }
  Result<runtime::Image> pull(const runtime::PullRequest& request, CancelToken cancel) override;
  Result<std::vector<runtime::Image>> list() override { return store_.list(); }
  Result<std::vector<runtime::Image>> import_archive(const std::string& path,
                                                     CancelToken cancel) override;
  Status remove(const std::string& reference) override { return store_.remove(reference); }
  Status drop_abandoned(const std::vector<std::string>&) override { return {}; }
  Result<runtime::PruneReport> prune(const runtime::PruneRequest& request,
                                     CancelToken cancel) override;

  runtime::FakeImages& store() { return store_; }

 private:
  const bool pulls_fail_;
  runtime::FakeImages store_;
};

class SimulatedRuntime final : public runtime::Runtime {
 public:
  // Told of each container that has started.
  using Started = std::function<void(const runtime::PodSpec&, const runtime::ContainerSpec&)>;
  // All must outlive it.
  SimulatedRuntime(runtime::FakeImages& images, const Clock& clock, Started started)
      : fake_(images, clock), started_(std::move(started)) {}

  Result<std::vector<runtime::PodStatus>> observe() override { return fake_.observe(); }
  Result<std::string> prepare_pod(const runtime::PodSpec& pod, CancelToken cancel) override {
    return fake_.prepare_pod(pod, std::move(cancel));
  }
  Result<runtime::ContainerStatus> start_container(const runtime::PodSpec& pod,
                                                   const runtime::ContainerSpec& container,
                                                   uint32_t attempt, CancelToken cancel) override;
  Status signal_container(const std::string& container_id, int signal) override {
    return fake_.signal_container(container_id, signal);
  }
  Status remove_container(const std::string& container_id) override {
    return fake_.remove_container(container_id);
  }
  Status remove_pod(const std::string& pod) override { return fake_.remove_pod(pod); }
  Status collect_leftovers(const std::vector<std::string>& pods) override {
    return fake_.collect_leftovers(pods);
  }
  void watch(runtime::EventSink sink) override { fake_.watch(std::move(sink)); }

  runtime::FakeRuntime& fake() { return fake_; }

 private:
  runtime::FakeRuntime fake_;
  const Started started_;
};

// Every probe succeeds at once, every hook as well.
class SimulatedHealth final : public runtime::Health {
 public:
  void listen(Sink sink) override { sink_ = std::move(sink); }
  void watch(std::vector<runtime::ProbeTarget> targets) override;
  void run(runtime::HookRequest hook) override { sink_.hooked({std::move(hook), {}}); }

 private:
  Sink sink_;
  std::vector<std::string> known_;  // ids of containers, sorted
};

// Containers that print one line.
class SimulatedLogs final : public runtime::Logs {
 public:
  explicit SimulatedLogs(const Clock& clock) : clock_(clock) {}
  Status read(const runtime::LogQuery& query, const LineSink& sink, CancelToken cancel) override;

 private:
  const Clock& clock_;
};

}  // namespace wherry::simulate
