// Properties of planner and ledger together, over random worlds: they converge, then rest, leave
// alone what is equal, and keep the order of dependencies, whatever the order of the actions.

#include <random>

#include <gtest/gtest.h>

#include "agent/reconcile/actions.h"
#include "agent/reconcile/ledger.h"
#include "base/log.h"
#include "runtime/fake/fake_runtime.h"
#include "tests/unit/reconcile/memory_records.h"
#include "tests/unit/reconcile/specs.h"

namespace wherry::test {
namespace {

class World {
 public:
  explicit World(unsigned seed) : random_(seed), runtime_(images_, clock_) {
    log_set_level(LogLevel::Off);
    for (const char* image : {"img-1", "img-2", "img-3"}) images_.publish(image);
    images_.add("img-1");
    restart();
    runtime_.watch([this](const runtime::Event& event) {
      if (!event.pod.empty()) ledger_->look_at(event.pod);
    });
  }

  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }

  // A set of workloads in which only earlier ones are depended on.
  std::vector<WorkloadSpec> some_workloads() {
    std::vector<WorkloadSpec> specs;
    std::vector<std::string> earlier;
    for (const char* name : {"a", "b", "c", "d", "e"}) {
      if (pick(4) == 0) continue;
      std::vector<std::string> needs;
      for (const std::string& other : earlier) {
        if (pick(3) == 0) needs.push_back(other);
      }
      WorkloadSpec spec = workload(name, std::to_string(1 + pick(3)), needs);
      spec.termination_grace = std::chrono::seconds(pick(20));
      if (pick(3) == 0) spec.update_strategy = UpdateStrategy::DeleteFirst;
      if (pick(3) == 0) spec.pod.containers[0].pull_policy = runtime::PullPolicy::Always;
      if (pick(3) == 0) spec.pod.host_network = false;
      specs.push_back(std::move(spec));
      earlier.emplace_back(name);
    }
    return specs;
  }

  void want(std::vector<WorkloadSpec> specs) {
    wanted_ = std::move(specs);
    ledger_->set_desired(wanted_);
  }
  const std::vector<WorkloadSpec>& wanted() const { return wanted_; }

  // The agent dies and comes back: all that is left is in the runtime and in the records.
  void restart() {
    ledger_ = std::make_unique<Ledger>(records_, clock_);
    ASSERT_TRUE(ledger_->load());
    ledger_->set_desired(wanted_);
    ledger_->look_at_all();
    listed_.clear();
  }

  // One thing that can go wrong between two steps.
  void mishap() {
    using Op = runtime::FakeRuntime::Op;
    const Error broken(Code::Internal, "broken");
    switch (pick(8)) {
      case 0:
        runtime_.exit_container(std::string(1, "abcde"[pick(5)]), "app", 1);
        break;
      case 1:
        runtime_.fail_next(Op::StartContainer, broken);
        break;
      case 2:
        runtime_.fail_next(Op::PreparePod, broken);
        break;
      case 3:
        runtime_.fail_next(Op::RemovePod, broken);
        break;
      case 4:
        images_.fail_pull(Error(Code::Unavailable, "no route", "ErrImagePull"));
        break;
      case 5:
        restart();
        break;
      case 6:
        runtime_.reboot();
        restart();
        break;
      default:
        runtime_.ignore_signals(std::string(1, "abcde"[pick(5)]), "app");
        break;
    }
  }

  // Looks, plans and carries out some of the actions, in any order. False when there was nothing.
  bool step() {
    if (ledger_->look_needed()) {
      const uint64_t begun = ledger_->begin_look();
      const auto pods = runtime_.observe();
      if (pods) ledger_->looked(begun, *pods);
    }
    if (const auto images = *images_.list(); images != listed_) {
      ledger_->listed(images);
      listed_ = images;
    }
    const std::set<std::string> held;
    Plan next = plan(ledger_->input(held, clock_.now()));
    std::vector<Action> actions;
    for (const auto& [name, verdict] : next.workloads) {
      if (verdict.action) actions.push_back(*verdict.action);
    }
    std::shuffle(actions.begin(), actions.end(), random_);
    if (actions.size() > 1) actions.resize(1 + pick(static_cast<unsigned>(actions.size())));
    for (const Action& action : actions) check_order(action);
    for (const Action& action : actions) ledger_->acting(action);
    for (const Action& action : actions) {
      ledger_->acted(carry_out(action, runtime_, images_, {}));
      ++actions_;
    }
    (void)ledger_->unwanted_pulls(next.pulls);
    bool pulled = false;
    for (const std::string& reference : next.pulls) {
      const auto known = ledger_->pulls().find(reference);
      if (known != ledger_->pulls().end() && known->second.trouble.waits(clock_.now())) continue;
      ledger_->pulling(reference);
      ledger_->pulled({reference, images_.pull({reference}, {})}, false);
      pulled = true;
    }
    EXPECT_TRUE(ledger_->flush());
    if (!actions.empty() || pulled || ledger_->look_needed()) return true;
    if (!next.wake_at) return false;
    clock_.advance(*next.wake_at - clock_.now());
    return true;
  }

  void settle() {
    for (int i = 0; i < 2000; ++i) {
      if (!step()) return;
    }
    FAIL() << "does not come to rest";
  }

  void expect_converged() {
    const auto pods = runtime_.observe();
    ASSERT_TRUE(pods);
    EXPECT_EQ(pods->size(), wanted_.size());
    for (const WorkloadSpec& spec : wanted_) {
      const auto found = std::find_if(pods->begin(), pods->end(),
                                      [&](const auto& p) { return p.name == spec.name(); });
      ASSERT_NE(found, pods->end()) << spec.name();
      EXPECT_EQ(found->hash, spec.pod.hash);
      EXPECT_TRUE(found->network_ready);
      ASSERT_EQ(found->containers.size(), 1u);
      EXPECT_EQ(found->containers[0].state, runtime::ContainerState::Running);
    }
    EXPECT_EQ(runtime_.prepared().size(), wanted_.size()) << "something is left over";
    EXPECT_EQ(records_.histories.size(), wanted_.size()) << "a history is left over";
  }

  std::map<std::string, uint32_t> pids() {
    std::map<std::string, uint32_t> pids;
    const auto pods = runtime_.observe();
    for (const auto& pod : *pods) {
      for (const auto& container : pod.containers) pids[pod.hash] = container.pid;
    }
    return pids;
  }

  size_t actions() const { return actions_; }
  runtime::FakeRuntime& runtime() { return runtime_; }

 private:
  // No start of something that has not run in this boot before what it depends on runs; no stop of
  // what a workload depends on that stops too and still runs.
  void check_order(const Action& action) {
    const auto& observed = ledger_->observed();
    if (action.kind == ActionKind::Start && !observed.contains(action.workload)) {
      const auto& memory = ledger_->memory().at(action.workload);
      const auto past = memory.containers.find("app");
      const bool again = past != memory.containers.end() && past->second.ended;
      // Also for a previous version the order is that of what is wanted.
      for (const std::string& need : ledger_->desired().at(action.workload)->depends_on) {
        EXPECT_TRUE(again || (observed.contains(need) && !running_ids(observed.at(need)).empty()))
            << action.workload << " starts before " << need;
      }
    }
    if (action.kind != ActionKind::Terminate) return;
    for (const auto& [name, pod] : observed) {
      if (ledger_->desired().contains(name) || running_ids(pod).empty()) continue;
      if (ledger_->desired().contains(action.workload)) continue;
      const auto needs = split(pod_label(pod, kDependsLabel), ',');
      const bool dependent = std::find(needs.begin(), needs.end(), action.workload) != needs.end();
      const auto mine = split(pod_label(observed.at(action.workload), kDependsLabel), ',');
      const bool circle = std::find(mine.begin(), mine.end(), name) != mine.end();
      // What a label says may be older than what is remembered.
      const auto& memory = ledger_->memory().at(name);
      const bool stale = !memory.source.empty() && memory.depends_on != needs;
      EXPECT_TRUE(!dependent || circle || stale) << action.workload << " stops before " << name;
    }
  }

  static std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    size_t begin = 0;
    while (begin < text.size()) {
      const size_t end = std::min(text.find(separator, begin), text.size());
      parts.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return parts;
  }

  std::mt19937 random_;
  FakeClock clock_;
  runtime::FakeImages images_;
  runtime::FakeRuntime runtime_;
  MemoryRecords records_;
  std::unique_ptr<Ledger> ledger_;
  std::vector<WorkloadSpec> wanted_;
  std::vector<runtime::Image> listed_;
  size_t actions_ = 0;
};

class Convergence : public testing::TestWithParam<unsigned> {};

TEST_P(Convergence, AnyDocumentAfterAnyOther) {
  World world(GetParam());
  for (int document = 0; document < 5; ++document) {
    world.want(world.some_workloads());
    for (unsigned i = world.pick(6); i > 0; --i) world.step();  // superseded half-way
    world.want(world.some_workloads());
    world.settle();
    world.expect_converged();
  }
  world.want({});
  world.settle();
  world.expect_converged();
}

TEST_P(Convergence, WhateverGoesWrongOnTheWay) {
  World world(GetParam());
  for (int document = 0; document < 4; ++document) {
    world.want(world.some_workloads());
    for (unsigned i = 0; i < 30; ++i) {
      if (world.pick(3) == 0) world.mishap();
      world.step();
    }
    world.settle();
    world.expect_converged();
    if (HasFailure()) return;
  }
}

TEST_P(Convergence, WhatIsEqualIsNotTouched) {
  World world(GetParam());
  world.want(world.some_workloads());
  world.settle();
  const auto before = world.pids();
  const size_t actions = world.actions();
  // The same again, with other revisions and in another life.
  auto same = world.wanted();
  for (WorkloadSpec& spec : same) spec.revision += 1;
  world.want(same);
  world.settle();
  world.restart();
  world.settle();
  EXPECT_EQ(world.actions(), actions);
  EXPECT_EQ(world.pids(), before);
  // Among others: those that did not change keep their processes.
  world.want(world.some_workloads());
  world.settle();
  const auto after = world.pids();
  for (const auto& [hash, pid] : after) {
    EXPECT_TRUE(!before.contains(hash) || before.at(hash) == pid) << hash;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Convergence, testing::Range(1u, 41u));

}  // namespace
}  // namespace wherry::test
