#include "agent/reconcile/plan.h"

#include <algorithm>

#include "agent/reconcile/admission.h"
#include "agent/reconcile/device_need.h"
#include "agent/reconcile/lookup.h"
#include "agent/reconcile/plan_order.h"
#include "agent/reconcile/plan_resize.h"
#include "agent/reconcile/pod_stop.h"
#include "agent/reconcile/pod_tally.h"
#include "agent/reconcile/wake.h"
#include "base/text.h"

namespace wherry {
namespace {

using runtime::ImageNeed;
using runtime::PodStatus;
using runtime::PullPolicy;

// The device cannot wait longer for what has to go because it runs short.
constexpr Duration kEvictionGrace = std::chrono::seconds(10);

// Plans one workload.
class WorkloadPlanner {
 public:
  WorkloadPlanner(const PlanInput& input, const Rooms& rooms, const std::string& name)
      : input_(input), rooms_(rooms), name_(name) {
    static const WorkloadMemory kNothing;
    if (const SpecPtr* wanted = lookup(input.desired, name)) wanted_ = *wanted;
    pod_ = lookup(input.observed, name);
    const WorkloadMemory* known = lookup(input.memory, name);
    memory_ = known == nullptr ? &kNothing : known;
  }

  Verdict run() {
    if (!wanted_) {
      unwanted();
    } else if (wanted_->claim == Claim::Down) {
      take_down();
    } else if (memory_->kill_at || memory_->evicting) {
      say_why_it_stops();
      stop();
    } else if (const std::string winner = preempted_for(); !winner.empty()) {
      make_way(winner);
    } else if (wanted_->claim == Claim::Keep) {
      keep();
    } else if (is_outdated()) {
      replace();
    } else if (pod_ == nullptr && !memory_->prepared_hash.empty() &&
               memory_->prepared_hash != wanted_->pod.hash) {
      say(Phase::Starting, "Replacing", "what was prepared for its previous version is removed");
      stop();
    } else {
      supervise(wanted_);
    }
    if (memory_->busy) verdict_.action.reset();
    return std::move(verdict_);
  }

  // It is being stopped for good or for another version, or would be if nothing had to wait.
  bool goes_down() {
    if (pod_ == nullptr || running_ids(*pod_).empty()) return false;
    if (!wanted_) return !held();
    if (memory_->kill_at || wanted_->claim == Claim::Down) return true;
    if (wanted_->claim == Claim::Keep) return false;
    return needs_replacement(*wanted_, *pod_, input_.digests) && may_stop_now();
  }

  // It is to be replaced once its images are there, and nobody has looked for them yet.
  bool is_undecided() const {
    if (!wanted_ || pod_ == nullptr || memory_->kill_at) return false;
    if (memory_->setup || memory_->removal) return false;
    if (wanted_->claim == Claim::Keep || wanted_->claim == Claim::Down) return false;
    if (memory_->images != ImagesState::Unknown || stops_without_images()) return false;
    return needs_replacement(*wanted_, *pod_, input_.digests);
  }

 private:
  void say(Phase phase, std::string reason, std::string message) {
    verdict_.phase = phase;
    verdict_.reason = std::move(reason);
    verdict_.message = std::move(message);
  }

  Action& act(ActionKind kind) {
    verdict_.action.emplace();
    verdict_.action->kind = kind;
    verdict_.action->workload = name_;
    return *verdict_.action;
  }

  // What is there, or last was, is not what is wanted.
  bool is_outdated() const {
    if (pod_ != nullptr) return needs_replacement(*wanted_, *pod_, input_.digests);
    return wanted_->claim == Claim::Run && previous();
  }

  bool held() const {
    return pod_ != nullptr && input_.held_sources.contains(pod_label(*pod_, kSourceLabel));
  }

  void unwanted() {
    if (held()) {
      verdict_.ready = !running_ids(*pod_).empty();
      say(verdict_.ready ? Phase::Running : Phase::Pending, "DesiredStateUnknown",
          "left as it is until a good document of " + pod_label(*pod_, kSourceLabel) + " arrives");
      return;
    }
    const std::string owner = pod_ == nullptr ? "" : pod_label(*pod_, kOwnerLabel);
    say(Phase::Stopping, "NoLongerWanted",
        owner.empty() ? "no document has it any more; it is being removed"
                      : owner + " does not want it any more; it is being removed");
    if (waits_for_dependents()) return;
    stop();
  }

  void say_why_it_stops() {
    const std::string& winner = memory_->preempted_for;
    if (memory_->evicting) return say(Phase::Stopping, "Evicted", memory_->eviction.message);
    if (!winner.empty()) return say(Phase::Stopping, "Preempted", "it makes room for " + winner);
    say(Phase::Stopping, "Replacing", "it is being stopped, to be started anew");
  }

  // As its controller says.
  void take_down() {
    const bool there = pod_ != nullptr || !memory_->prepared_hash.empty() || memory_->kill_at;
    say(there ? Phase::Stopping : Phase::Pending, wanted_->claim_reason, wanted_->claim_message);
    if (there && !waits_for_dependents()) stop();
  }

  void keep() {
    if (pod_ == nullptr) {
      return say(Phase::Pending, wanted_->claim_reason, wanted_->claim_message);
    }
    const SpecPtr spec = pod_->hash == wanted_->pod.hash ? wanted_ : previous();
    const bool runs = !running_ids(*pod_).empty();
    verdict_.ready = runs;
    if (spec) {
      const PodTally sum = tally(*spec, pod_, memory_, input_.now);
      verdict_.ready = sum.ready();
      describe(sum);
    }
    if (runs) say(Phase::Running, wanted_->claim_reason, wanted_->claim_message);
  }

  bool waits_for_dependents() {
    const std::string other = blocking_dependent(input_, name_, [this](const std::string& each) {
      return WorkloadPlanner(input_, rooms_, each).goes_down();
    });
    if (other.empty()) return false;
    say(Phase::Stopping, "DependentStillRunning",
        "waits for " + other + ", which depends on it, to stop first");
    return true;
  }

  SpecPtr spec_of_pod() const {
    if (pod_ == nullptr) return nullptr;
    return wanted_ && wanted_->pod.hash == pod_->hash ? wanted_ : previous();
  }

  // preStop hooks, SIGTERM, the grace period, then removal, which kills what is still there.
  void stop() {
    if (waits_after(memory_->removal)) return;
    const auto ids = pod_ == nullptr ? std::vector<std::string>() : running_ids(*pod_);
    if (ids.empty()) {
      act(ActionKind::Remove).whole_pod = true;
      return;
    }
    const SpecPtr spec = spec_of_pod();
    const Stopping stopping{spec.get(), *pod_, *memory_};
    Duration grace = grace_of(wanted_ ? wanted_.get() : spec.get(), *pod_);
    if (memory_->evicting) grace = std::min<Duration>(grace, kEvictionGrace);
    if (memory_->kill_at) {
      const MonoTime end = *memory_->kill_at + hook_slack(stopping);
      if (end <= input_.now) {
        act(ActionKind::Remove).whole_pod = true;
        return;
      }
      earlier(verdict_.wake_at, end);
    }
    const auto next = next_to_stop(stopping, ids);
    if (!memory_->kill_at || !next.empty()) {
      Action& action = act(ActionKind::Terminate);
      action.grace = memory_->kill_at ? *memory_->kill_at - input_.now : grace;
      tell(stopping, next, action);
    }
  }

  // Containers that are stopped while their Pod stays: those that failed a probe, sidecars that
  // nobody needs any more, all of them after the active deadline. True where there is an action.
  bool end_some(const SpecPtr& spec, const PodTally& sum) {
    if (pod_ == nullptr) return false;
    const Stopping stopping{spec.get(), *pod_, *memory_};
    for (const StopOrder& order : stop_orders(stopping, sum)) {
      const auto next = next_to_stop(stopping, order.ids);
      if (!next.empty()) {
        Action& action = act(ActionKind::Terminate);
        action.grace = order.grace;
        action.reason = order.reason;
        action.message = order.message;
        tell(stopping, next, action);
        return true;
      }
    }
    const LateStops late = late_to_stop(stopping, input_.now);
    if (late.wake_at) earlier(verdict_.wake_at, *late.wake_at);
    if (late.ids.empty()) return false;
    act(ActionKind::Kill).container_ids = late.ids;
    return true;
  }

  // A failure of the Pod as a whole that waits for its next try.
  bool waits_after(const Trouble& trouble) {
    if (!trouble.waits(input_.now)) return false;
    earlier(verdict_.wake_at, trouble.not_before);
    say(wanted_ ? Phase::BackOff : Phase::Stopping, trouble.reason, trouble.message);
    return true;
  }

  SpecPtr previous() const {
    const SpecPtr& last = memory_->previous;
    return last && (pod_ == nullptr || last->pod.hash == pod_->hash) ? last : nullptr;
  }

  // By its strategy, or because there is nothing to keep up meanwhile.
  bool stops_without_images() const {
    return wanted_->update_strategy == UpdateStrategy::DeleteFirst || (!runs() && !previous());
  }

  bool may_stop_now() {
    return has_room(true) && (stops_without_images() || images_ready()) && has_room(false);
  }

  // There is room for what it wants; or, with `promised`, there will be. Else says why not.
  bool has_room(bool promised) {
    const Room* room = rooms_.find(name_);
    if (room == nullptr || room->now || (promised && room->promised)) return true;
    const SpecPtr* winner = lookup(input_.desired, memory_->preempted_for);
    const bool stopped = winner != nullptr && (*winner)->priority > wanted_->priority;
    say(Phase::Pending, stopped ? "Preempted" : room->reason,
        (stopped ? "it was stopped to make room for " + memory_->preempted_for + "; " : "") +
            room->message);
    return false;
  }

  // It was stopped because the device ran short, and waits.
  bool is_evicted() {
    const Trouble& eviction = memory_->eviction;
    if (!eviction.waits(input_.now)) return false;
    earlier(verdict_.wake_at, eviction.not_before);
    say(Phase::Failed, "Evicted", eviction.message + "; it is started again after a pause");
    return true;
  }

  // Nothing but room is missing for what it wants.
  bool waits_for_room_only() {
    if (!wanted_ || memory_->kill_at) return false;
    if (is_outdated()) return stops_without_images() || images_ready();
    if (tally(*wanted_, pod_, memory_, input_.now).begun) return true;  // it is to grow
    return dependencies_ready() && images_ready();
  }

  // The workload that it has to go for now; "" where there is none.
  std::string preempted_for() const {
    const std::string* winner = lookup(rooms_.stops_for, name_);
    const bool due =
        winner != nullptr && WorkloadPlanner(input_, rooms_, *winner).waits_for_room_only();
    return due ? *winner : "";
  }

  void make_way(const std::string& winner) {
    say(Phase::Stopping, "Preempted",
        "it makes room for " + winner + ", which has a higher priority");
    if (waits_for_dependents()) return;
    stop();
    if (verdict_.action) verdict_.action->preempted_for = winner;
  }

  // A dependency may be replaced too, and whether it can is not known yet: then the order is not
  // known either.
  bool order_undecided() const {
    return std::any_of(
        wanted_->depends_on.begin(), wanted_->depends_on.end(),
        [this](const auto& name) { return WorkloadPlanner(input_, rooms_, name).is_undecided(); });
  }

  void replace() {
    if (may_stop_now()) {
      say(Phase::Stopping, "Replacing", "its definition changed; the previous version is stopped");
      verdict_.action.reset();
      if (!order_undecided() && !waits_for_dependents()) stop();
      return;
    }
    // The previous version is looked after until its successor can start.
    if (verdict_.phase == Phase::Pending) verdict_.message += kept();
    verdict_.ready = runs();
    if (!previous()) return;
    Verdict update = std::move(verdict_);
    verdict_ = {};
    supervise(previous());
    update.ready = verdict_.ready;
    if (!update.action) update.action = std::move(verdict_.action);
    if (verdict_.wake_at) earlier(update.wake_at, *verdict_.wake_at);
    update.pulls.merge(verdict_.pulls);
    verdict_ = std::move(update);
  }

  bool runs() const { return pod_ != nullptr && !running_ids(*pod_).empty(); }

  std::string kept() const {
    if (runs()) return "; the previous version keeps running";
    return previous() ? "; the previous version is started meanwhile" : "";
  }

  // Sees to the wanted spec's images. False while they are not all in the store; says why.
  bool images_ready() {
    const std::string kept = this->kept();
    if (memory_->images == ImagesState::Unknown) {
      say(Phase::Starting, "ContainerCreating", "looking for its images" + kept);
      if (!waits_after(memory_->setup)) act(ActionKind::CheckImages).spec = wanted_;
      verdict_.pulls = memory_->missing;  // those under way go on meanwhile
      return false;
    }
    bool ready = true;
    for (const ImageNeed& need : images_of(wanted_->pod)) {
      if (memory_->missing.contains(need.reference)) {
        ready = false;
        missing(need, kept);
      } else if (must_pull(need)) {
        ready = false;
        fetch(need.reference, kept);
      }
    }
    return ready;
  }

  // Always means: when the Pod is made. A Pod that comes up again after a reboot is not made anew.
  bool must_pull(const ImageNeed& need) const {
    return need.pull_policy == PullPolicy::Always && !is_pinned(need.reference) &&
           !memory_->pulled.contains(need.reference) && !memory_->ran_before();
  }

  void missing(const ImageNeed& need, const std::string& kept) {
    if (need.pull_policy != PullPolicy::Never) return fetch(need.reference, kept);
    say(Phase::BackOff, "ErrImageNeverPull",
        "image " + need.reference + " is not on the device and imagePullPolicy is Never: import " +
            "it with wherry images import" + kept);
  }

  void fetch(const std::string& reference, const std::string& kept) {
    verdict_.pulls.insert(reference);
    const PullMemory* pull = lookup(input_.pulls, reference);
    if (pull == nullptr || pull->busy || !pull->trouble.waits(input_.now)) {
      if (verdict_.phase == Phase::BackOff) return;  // an image in trouble says more
      const bool again = pull != nullptr && pull->trouble;
      verdict_.pull_aside = (again ? ", again after: " + pull->trouble.message : "") + kept;
      say(Phase::Pulling, "Pulling", "pulling " + reference + verdict_.pull_aside);
      return;
    }
    earlier(verdict_.wake_at, pull->trouble.not_before);
    const std::string& why = pull->trouble.reason;
    const bool again =
        pull->trouble.failures > 1 && (why == "ErrImagePull" || why == "RegistryUnavailable");
    say(Phase::BackOff, again ? "ImagePullBackOff" : why, pull->trouble.message + kept);
  }

  bool dependencies_ready() {
    for (const std::string& dependency : wanted_->depends_on) {
      const SpecPtr* wanted = lookup(input_.desired, dependency);
      if (wanted != nullptr && is_up(**wanted)) continue;
      say(Phase::Pending, "DependencyNotReady", "waits for " + dependency + " to be ready");
      return false;
    }
    return true;
  }

  // A dependency that waits for its next version is as good as ever.
  bool is_up(const WorkloadSpec& workload) const {
    const PodStatus* pod = lookup(input_.observed, workload.name());
    if (pod == nullptr) return false;
    if (needs_replacement(workload, *pod, input_.digests)) {
      return is_healthy(workload.name(), *pod) &&
             !WorkloadPlanner(input_, rooms_, workload.name()).goes_down();
    }
    const WorkloadMemory* memory = lookup(input_.memory, workload.name());
    return !(memory != nullptr && memory->kill_at) &&
           tally(workload, pod, memory, input_.now).ready();
  }

  bool is_healthy(const std::string& name, const PodStatus& pod) const {
    const WorkloadMemory* memory = lookup(input_.memory, name);
    const SpecPtr spec = memory == nullptr ? nullptr : memory->previous;
    if (!spec || spec->pod.hash != pod.hash) return looks_healthy(pod);
    return tally(*spec, &pod, memory, input_.now).ready();
  }

  void supervise(const SpecPtr& spec) {
    const PodTally sum = tally(*spec, pod_, memory_, input_.now);
    if (sum.wake_at) earlier(verdict_.wake_at, *sum.wake_at);
    verdict_.ready = sum.ready();
    if (end_some(spec, sum)) return describe(sum);
    if (sum.due.empty()) {
      describe(sum);
      note_lost_devices();
    } else {
      start(spec, sum);
    }
    // While one of them waits, for a device say, its siblings are looked after all the same.
    if (pod_ == nullptr || sum.running == 0) return;
    const RunningPod about{input_, spec, *pod_, *memory_, rooms_.find(name_)};
    plan_file_update(about, verdict_);
    if (spec == wanted_) plan_resize(about, verdict_);
  }

  // It is about what runs; says it only where nothing else is to be said.
  void note_lost_devices() {
    if (pod_ == nullptr || !verdict_.reason.empty()) return;
    const auto lost = lost_devices(*pod_, input_.devices.get());
    if (lost) say(verdict_.phase, lost->reason, lost->message);
  }

  bool waits_for_devices(const SpecPtr& spec, const PodTally& sum) {
    // One that others make way for needs its images first: before, nobody goes for it.
    const Room* room = rooms_.find(name_);
    const bool promised = !sum.begun && room != nullptr && room->promised && !room->now;
    const auto wait = wait_for_devices(input_, *spec, sum.due);
    if (!wait || promised) return false;
    say(sum.running > 0 ? Phase::Running : Phase::Pending, wait->reason, wait->message);
    return true;
  }

  void describe(const PodTally& sum) {
    Description said = wherry::describe(sum);
    say(said.phase, std::move(said.reason), std::move(said.message));
  }

  void start(const SpecPtr& spec, const PodTally& sum) {
    // Nothing of it runs in this boot: as when it is made, its dependencies and images come first.
    const bool fresh = !sum.begun;
    if (sum.init_message.empty() || fresh) {
      say(Phase::Starting, "ContainerCreating", "its containers are being started");
    } else {
      say(Phase::Starting, "PodInitializing", sum.init_message);
    }
    if (waits_after(memory_->removal) || waits_after(memory_->setup)) return;
    // A previous version has its place already.
    const auto has_its_room = [&](bool promised) { return spec != wanted_ || has_room(promised); };
    if (fresh && (is_evicted() || !has_its_room(true) || !dependencies_ready())) return;
    if (waits_for_devices(spec, sum)) return;
    if (spec == wanted_ && !images_ready()) return;
    if (fresh && !has_its_room(false)) return;
    if (pod_ != nullptr && !pod_->network_ready && sum.running > 0) {
      // A new namespace would part the container from its siblings.
      act(ActionKind::Remove).container_ids = running_ids(*pod_);
      say(Phase::Starting, "SandboxChanged", "its network namespace is gone: it gets a new one");
      return;
    }
    Action& action = act(ActionKind::Start);
    action.spec = spec;
    action.starts = sum.due;
    if (!sum.trouble_reason.empty()) say(Phase::BackOff, sum.trouble_reason, sum.trouble_message);
  }

  const PlanInput& input_;
  const Rooms& rooms_;
  const std::string& name_;
  SpecPtr wanted_;
  const PodStatus* pod_ = nullptr;
  const WorkloadMemory* memory_ = nullptr;
  Verdict verdict_;
};

}  // namespace

Plan plan(const PlanInput& input) {
  std::set<std::string> names;
  for (const auto& [name, workload] : input.desired) names.insert(name);
  for (const auto& [name, pod] : input.observed) names.insert(name);
  for (const auto& [name, memory] : input.memory) {
    if (!memory.prepared_hash.empty() || memory.kill_at) names.insert(name);
  }
  const Rooms rooms = find_rooms(input);
  Plan all;
  for (const std::string& name : names) {
    Verdict one = WorkloadPlanner(input, rooms, name).run();
    if (one.wake_at) earlier(all.wake_at, *one.wake_at);
    all.pulls.insert(one.pulls.begin(), one.pulls.end());
    all.workloads.emplace(name, std::move(one));
  }
  take_turns(input, all);
  return all;
}

}  // namespace wherry
