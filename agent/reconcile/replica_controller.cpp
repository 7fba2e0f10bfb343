#include "agent/reconcile/replica_controller.h"

#include <algorithm>

#include "agent/reconcile/pod_tally.h"

namespace wherry {
namespace {

struct Replica {
  const WorkloadSpec* spec;
  bool old = false;        // what is there is of another version
  bool there = false;      // something is
  bool runs = false;       // a container of it
  bool healthy = false;    // all of it
  bool available = false;  // it is as wanted, and has been ready for long enough
  bool stopped = false;    // by a person: the others go on as if it were well
  bool good() const { return stopped || available || (old && healthy); }
};

class Planner {
 public:
  Planner(const ControllerSpec& controller, const ControllerFacts& facts)
      : rules_(controller.rollout), facts_(facts) {}

  void add(const WorkloadSpec& spec) {
    Replica replica{&spec};
    replica.stopped = facts_.stopped.contains(spec.name());
    if (const runtime::PodStatus* pod = facts_.pod(spec.name()); pod != nullptr) {
      replica.there = true;
      replica.old = pod->hash != spec.pod.hash;
      replica.runs = !running_ids(*pod).empty();
      replica.healthy = is_healthy(spec.name(), *pod);
    }
    replica.available = replica.there && !replica.old && is_available(spec);
    replicas_.push_back(replica);
  }

  ReplicaPlan run() {
    for (const Replica& replica : replicas_) {
      plan_.pods.push_back({replica.spec->name(), 0, {}, Claim::Run});
      plan_.stopped += replica.stopped ? 1 : 0;
      if (replica.stopped) continue;
      plan_.updated += replica.there && !replica.old ? 1 : 0;
      plan_.available += replica.available ? 1 : 0;
      plan_.old += replica.old ? 1 : 0;
      plan_.old_ready += replica.old && replica.healthy ? 1 : 0;
    }
    const bool old_runs = std::any_of(replicas_.begin(), replicas_.end(),
                                      [](const Replica& each) { return each.old && each.runs; });
    if (rules_.recreate && replicas_.size() > 1 && old_runs) {
      recreate();
    } else {
      if (rules_.ordered) start_in_order();
      roll();
    }
    return std::move(plan_);
  }

 private:
  bool is_healthy(const std::string& name, const runtime::PodStatus& pod) const {
    const WorkloadMemory* memory = facts_.remembered(name);
    const SpecPtr before = memory == nullptr ? nullptr : memory->previous;
    if (!before || before->pod.hash != pod.hash) return looks_healthy(pod);
    return tally(*before, &pod, memory, facts_.now).ready();
  }

  bool is_available(const WorkloadSpec& spec) {
    const WorkloadMemory* memory = facts_.remembered(spec.name());
    if (!tally(spec, facts_.pod(spec.name()), memory, facts_.now).ready()) return false;
    if (rules_.min_ready == Duration::zero() || memory == nullptr) return true;
    MonoTime at = facts_.now;
    for (const auto& [name, container] : memory->containers) {
      if (container.running_since) at = std::max(at, *container.running_since + rules_.min_ready);
    }
    if (at > facts_.now && (!plan_.wake_at || at < *plan_.wake_at)) plan_.wake_at = at;
    return at <= facts_.now;
  }

  void wait(size_t i, Claim claim, const char* reason, std::string message) {
    plan_.pods[i].claim = claim;
    plan_.pods[i].reason = reason;
    plan_.pods[i].message = std::move(message);
  }

  void recreate() {
    for (size_t i = 0; i < replicas_.size(); ++i) {
      if (replicas_[i].old) {
        wait(i, Claim::Down, "Recreating",
             "all Pods of the previous version stop before the first of the new one starts");
      } else if (!replicas_[i].there) {
        wait(i, Claim::Keep, "Recreating", "waits for the Pods of the previous version to stop");
      }
    }
  }

  void start_in_order() {
    const Replica* before = nullptr;  // the first that is not ready
    for (size_t i = 0; i < replicas_.size(); ++i) {
      const Replica& replica = replicas_[i];
      if (before != nullptr && !replica.there) {
        wait(i, Claim::Keep, "WaitingForPredecessor",
             "starts once " + before->spec->name() + " is ready");
      }
      if (before == nullptr && !replica.good()) before = &replica;
    }
  }

  // What does not run as it should is replaced at once: nothing is lost by it.
  void roll() {
    int down = 0;
    for (const Replica& replica : replicas_) {
      if (!replica.good()) ++down;
    }
    for (size_t n = 0; n < replicas_.size(); ++n) {
      const size_t i = rules_.last_first ? replicas_.size() - 1 - n : n;
      if (replicas_[i].stopped || !replicas_[i].old || !replicas_[i].healthy) continue;
      if (++down <= rules_.max_unavailable) continue;
      wait(i, Claim::Keep, "WaitingForRollout",
           "its previous version goes on until others are ready: at most " +
               std::to_string(rules_.max_unavailable) + " may be down at a time");
    }
  }

  const RolloutRules& rules_;
  const ControllerFacts& facts_;
  std::vector<Replica> replicas_;
  ReplicaPlan plan_;
};

}  // namespace

ReplicaPlan plan_replicas(const ControllerSpec& controller,
                          const std::map<std::string, const WorkloadSpec*>& specs,
                          const ControllerFacts& facts) {
  Planner planner(controller, facts);
  for (const std::string& name : controller.pods) {
    const auto spec = specs.find(name);
    if (spec != specs.end()) planner.add(*spec->second);
  }
  return planner.run();
}

}  // namespace wherry
