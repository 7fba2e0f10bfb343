#pragma once
// A reconciler on a bench: a container stack in memory, a clock that stands still, and work that is
// done when the test says so.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "agent/reconcile/reconciler.h"
#include "base/log.h"
#include "runtime/fake/fake_runtime.h"
#include "tests/unit/reconcile/documents.h"
#include "tests/unit/reconcile/memory_records.h"

namespace wherry::test {

class ManualLanes final : public Lanes {
 public:
  bool post(Lane lane, std::function<void()> job) override {
    jobs_[lane].push_back(std::move(job));
    return true;
  }
  size_t waiting(Lane lane) { return jobs_[lane].size(); }
  // Runs what was posted before the call; false when there was nothing.
  bool run(Lane lane) {
    std::deque<std::function<void()>> now;
    now.swap(jobs_[lane]);
    for (const auto& job : now) job();
    return !now.empty();
  }
  void drop_all() { jobs_.clear(); }

 private:
  std::map<Lane, std::deque<std::function<void()>>> jobs_;
};

class BenchTest : public testing::Test {
 protected:
  static constexpr const char* kDevice = "devices/d";

  BenchTest() {
    log_set_level(LogLevel::Off);
    images_.add("img:1");
    images_.set_removable([this] { return keeping_.removable(); });
    runtime_.watch([this](const runtime::Event& event) { mailbox_.post_event(event); });
    fresh();
    spin();
  }

  // A new life of the agent: only records and runtime remember.
  void fresh() {
    lanes_.drop_all();
    reconciler_.reset();
    (void)mailbox_.take();
    ReconcilerOptions options;
    options.sources = {kLocalSource, "groups/g", kDevice};
    options.facts = facts_;
    options.signatures = signatures_;
    options.device.id = "d";
    options.device.boot = boot_;
    reconciler_ = std::make_unique<Reconciler>(
        ReconcilerParts{runtime_,
                        images_,
                        records_,
                        board_,
                        lanes_,
                        mailbox_,
                        clock_,
                        [this](std::string json) { published_.push_back(std::move(json)); },
                        {},
                        &records_,
                        &keeping_,
                        &records_,
                        [this] { return clock_doubt_; },
                        health_,
                        services_,
                        &runtime_,
                        gauges_,
                        devices_,
                        {},
                        &records_},
        options);
    mailbox_.post([](Mail& mail) { mail.manifests = LocalManifests{}; });
    mailbox_.post_event({runtime::Event::Kind::Connected, "", "", ""});
    reconciler_->start();
  }

  // Until there is nothing to do without time passing or a lane left out.
  void spin(bool pull = true) {
    for (int i = 0; i < 1000; ++i) {
      reconciler_->step();
      bool busy = lanes_.run(Lane::Look);
      busy = lanes_.run(Lane::Work) || busy;
      busy = lanes_.run(Lane::Tidy) || busy;
      busy = lanes_.run(Lane::Services) || busy;
      busy = (pull && lanes_.run(Lane::Pull)) || busy;
      busy = lanes_.run(Lane::Drop) || busy;
      if (!busy && mailbox_.empty()) return;
    }
    FAIL() << "does not come to rest";
  }
  void advance(Duration by) {
    clock_.advance(by);
    spin();
  }

  void publish(const std::string& payload, const std::string& source = kDevice) {
    mailbox_.post([&](Mail& mail) { mail.documents[source] = payload; });
  }
  void apply(const std::string& payload) {
    publish(payload);
    spin();
  }

  WorkloadView workload(const std::string& name) {
    const WorkloadView* found = board_.get()->find(name);
    return found == nullptr ? WorkloadView{} : *found;
  }
  ControllerView controller(const std::string& kind, const std::string& name) {
    for (const ControllerView& view : board_.get()->controllers) {
      if (view.kind == kind && view.name == name) return view;
    }
    return {};
  }
  DesiredView desired(const std::string& source = kDevice) {
    for (const DesiredView& view : board_.get()->desired) {
      if (view.source == source) return view;
    }
    return {};
  }
  ConditionView condition(const std::string& type) {
    for (const ConditionView& view : board_.get()->conditions) {
      if (view.type == type) return view;
    }
    return {};
  }
  uint32_t pid(const std::string& name) {
    const WorkloadView view = workload(name);
    return view.containers.empty() ? 0 : view.containers[0].pid;
  }
  // Every call to the container stack so far.
  size_t calls() const {
    using Op = runtime::FakeRuntime::Op;
    size_t count = 0;
    for (const Op op : {Op::Observe, Op::PreparePod, Op::StartContainer, Op::SignalContainer,
                        Op::RemoveContainer, Op::RemovePod, Op::CollectLeftovers}) {
      count += runtime_.count(op);
    }
    return count;
  }

  runtime::Health* health_ = nullptr;  // of the next life
  ServiceDesk::Parts services_;        // … too
  runtime::Gauges* gauges_ = nullptr;  // likewise
  runtime::Devices* devices_ = nullptr;
  std::string clock_doubt_;  // why the wall clock cannot be relied on
  std::string boot_ = "boot-1";
  DeviceFacts facts_{"host", "amd64", {}};
  SignatureOptions signatures_;
  FakeClock clock_;
  runtime::FakeImages images_;
  runtime::FakeRuntime runtime_{images_, clock_};
  MemoryRecords records_;
  StateBoard board_;
  KeepingBoard keeping_;
  Mailbox mailbox_;
  ManualLanes lanes_;
  std::vector<std::string> published_;
  std::unique_ptr<Reconciler> reconciler_;
};

}  // namespace wherry::test
