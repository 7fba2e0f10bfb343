#include "agent/reconcile/job_controller.h"

#include <algorithm>
#include <charconv>

#include "agent/reconcile/pod_tally.h"
#include "agent/reconcile/wake.h"

namespace wherry {
namespace {

// Kubernetes' numbers: 10 s, doubling, at most 6 min.
constexpr Backoff kRetry{std::chrono::seconds(10), std::chrono::minutes(6)};
// Finished Pods of a Job that are kept for their logs, the last indexes first.
constexpr size_t kFinishedKept = 10;

enum class Outcome { Open, Succeeded, Failed };

class JobView {
 public:
  JobView(const JobRun& run, const JobInput& input)
      : run_(run), rules_(input.controller.job), input_(input) {}

  std::string name(int index) const { return pod_name(run_, rules_, index); }

  // What became of one attempt, as far as is known.
  Outcome outcome(int index, uint32_t attempt) {
    if (!probe_) probe_ = input_.controller.pod_template;  // large, perhaps: copied once
    WorkloadSpec& spec = *probe_;
    if (run_.finished()) spec.restart_policy = RestartPolicy::Never;  // no more is to come of it
    spec.pod.hash = run_.pod_hash(index, attempt);
    const std::string pod = name(index);
    const runtime::PodStatus* seen = input_.facts.pod(pod);
    if (seen != nullptr && seen->hash != spec.pod.hash) seen = nullptr;
    const PodTally sum = tally(spec, seen, input_.facts.remembered(pod), input_.facts.now);
    const bool open = sum.running + sum.unknown + sum.waiting > 0 || !sum.due.empty();
    if (open) return Outcome::Open;
    return sum.failed > 0 ? Outcome::Failed : Outcome::Succeeded;
  }

  // Ends that count against backoffLimit although the same Pod goes on (restartPolicy OnFailure).
  uint32_t restarts(int index) const {
    const WorkloadMemory* memory = input_.facts.remembered(name(index));
    if (memory == nullptr) return 0;
    uint32_t count = 0;
    for (const auto& [container, past] : memory->containers) {
      if (past.hash != run_.pod_hash(index, run_.attempt(index))) continue;
      const auto* spec = find_spec(input_.controller.pod_template, container);
      if (spec != nullptr && spec->role == runtime::ContainerRole::Sidecar) continue;
      count += past.attempt + (past.ended && past.exit_code != 0 ? 1 : 0);
    }
    return count;
  }

  bool is_there(int index) const {
    const runtime::PodStatus* pod = input_.facts.pod(name(index));
    return pod != nullptr && pod->hash == run_.pod_hash(index, run_.attempt(index));
  }

  // Indexes that are worked on now, the lowest first.
  std::vector<int> active() const {
    std::vector<int> indexes;
    if (run_.finished() || run_.suspended) return indexes;
    const int most = rules_.completions.value_or(rules_.parallelism);
    // Without a number of completions nothing new begins once one has succeeded.
    const bool only_there = !rules_.completions && !run_.succeeded.empty();
    for (int index = 0; index < most; ++index) {
      if (static_cast<int>(indexes.size()) >= rules_.parallelism) break;
      if (run_.succeeded.contains(index) || (only_there && !is_there(index))) continue;
      indexes.push_back(index);
    }
    return indexes;
  }

 private:
  const JobRun& run_;
  const JobRules& rules_;
  const JobInput& input_;
  std::optional<WorkloadSpec> probe_;
};

void finish(JobRun& run, const JobInput& input, JobRun::Phase phase, std::string reason,
            std::string message) {
  run.phase = phase;
  run.reason = std::move(reason);
  run.message = std::move(message);
  run.finished_at = input.facts.wall;
  run.since = input.facts.now;
}

void count(JobRun& run, const JobInput& input, JobPauses& pauses) {
  std::map<int, Outcome> ended;
  JobView view(run, input);
  for (const int index : view.active()) {
    const Outcome outcome = view.outcome(index, run.attempt(index));
    if (outcome != Outcome::Open) ended[index] = outcome;
  }
  for (const auto& [index, outcome] : ended) {
    if (outcome == Outcome::Succeeded) {
      run.succeeded.insert(index);
      continue;
    }
    const uint32_t attempts = ++run.attempts[index];
    ++run.failed;
    pauses[index] = input.facts.now + kRetry.delay(attempts, input.random);
  }
}

bool is_complete(const JobRun& run, const JobInput& input) {
  const JobRules& rules = input.controller.job;
  if (rules.completions) {
    return run.succeeded.size() >= static_cast<size_t>(*rules.completions);
  }
  return !run.succeeded.empty() && JobView(run, input).active().empty();
}

class JobPlanner {
 public:
  JobPlanner(const JobRun& run, const JobInput& input, const JobPauses& pauses)
      : run_(run), input_(input), pauses_(pauses), view_(run, input) {}

  JobPlan run() {
    for (const int index : view_.active()) work_on(index);
    const JobRules& rules = input_.controller.job;
    const bool gone = run_.finished() && rules.ttl && run_.since + *rules.ttl <= input_.facts.now;
    if (!gone) keep_finished();
    take_down_others();
    timers();
    return std::move(plan_);
  }

 private:
  void work_on(int index) {
    const uint32_t attempt = run_.attempt(index);
    const auto pause = pauses_.find(index);
    if (pause == pauses_.end() || pause->second <= input_.facts.now) {
      ++plan_.active;
      chosen_.insert(view_.name(index));
      plan_.pods.push_back({view_.name(index), index, run_.pod_hash(index, attempt), Claim::Once});
      return;
    }
    earlier(plan_.wake_at, pause->second);
    keep(index, attempt - 1, "JobBackOff", "its attempt failed; it is tried again after a pause");
  }

  // Only what is there, and ended as was counted: nothing may start again.
  bool keep(int index, uint32_t attempt, const char* reason, const char* message) {
    const std::string name = view_.name(index);
    const runtime::PodStatus* pod = input_.facts.pod(name);
    const std::string hash = run_.pod_hash(index, attempt);
    if (pod == nullptr || pod->hash != hash) return false;
    if (view_.outcome(index, attempt) == Outcome::Open) return false;
    chosen_.insert(name);
    plan_.pods.push_back({name, index, hash, Claim::Keep, reason, message});
    return true;
  }

  void keep_finished() {
    size_t kept = 0;
    for (auto index = run_.succeeded.rbegin(); index != run_.succeeded.rend(); ++index) {
      if (kept >= kFinishedKept) break;
      kept += keep(*index, run_.attempt(*index), "Completed", "its work is done") ? 1 : 0;
    }
    if (!run_.finished()) return;
    for (const auto& [index, attempts] : run_.attempts) {
      if (kept >= kFinishedKept) break;
      if (run_.succeeded.contains(index)) continue;
      kept += keep(index, attempts - 1, "Failed", "its Job has failed") ? 1 : 0;
    }
    // With restartPolicy OnFailure the same Pod was tried again and again.
    const JobRules& rules = input_.controller.job;
    for (int index = 0; index < rules.completions.value_or(rules.parallelism); ++index) {
      if (kept >= kFinishedKept) break;
      if (chosen_.contains(view_.name(index))) continue;
      kept += keep(index, run_.attempt(index), "Failed", "its Job has failed") ? 1 : 0;
    }
  }

  bool is_own(std::string_view pod) const {
    if (input_.controller.job.completions == 1) return pod == run_.name;
    if (pod.size() <= run_.name.size() + 1 || pod[run_.name.size()] != '-') return false;
    const std::string_view digits = pod.substr(run_.name.size() + 1);
    int index = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error != std::errc() || end != digits.data() + digits.size()) return false;
    return view_.name(index) == pod;
  }

  // Those of this Job that are there and not wanted any more.
  void take_down_others() {
    const auto& observed = input_.facts.observed;
    for (auto pod = observed.lower_bound(run_.name); pod != observed.end(); ++pod) {
      if (!pod->first.starts_with(run_.name)) break;
      const bool job = pod_label(pod->second, kOwnerLabel) == "Job/" + run_.name;
      if (!job || chosen_.contains(pod->first) || !is_own(pod->first)) continue;
      const char* const reason = run_.suspended ? "Suspended" : "NoLongerWanted";
      const char* const message = run_.suspended ? "its Job is suspended; it is being removed"
                                                 : "its Job does not need it any more";
      plan_.pods.push_back({pod->first, 0, pod->second.hash, Claim::Down, reason, message});
    }
  }

  void timers() {
    const JobRules& rules = input_.controller.job;
    if (run_.finished()) {
      if (rules.ttl && run_.since + *rules.ttl > input_.facts.now) {
        earlier(plan_.wake_at, run_.since + *rules.ttl);
      }
    } else if (rules.active_deadline && !run_.suspended) {
      earlier(plan_.wake_at, run_.since + *rules.active_deadline);
    }
  }

  const JobRun& run_;
  const JobInput& input_;
  const JobPauses& pauses_;
  JobView view_;
  std::set<std::string> chosen_;
  JobPlan plan_;
};

}  // namespace

std::string pod_name(const JobRun& run, const JobRules& rules, int index) {
  return rules.completions == 1 ? run.name : run.name + "-" + std::to_string(index);
}

JobRun count_job(const JobRun& before, const JobInput& input, JobPauses& pauses) {
  JobRun run = before;
  const JobRules& rules = input.controller.job;
  if (run.finished()) return run;
  if (run.suspended != rules.suspend) {
    run.suspended = rules.suspend;
    run.since = input.facts.now;  // its time begins anew
  }
  if (run.suspended) return run;
  count(run, input, pauses);
  uint32_t failures = run.failed;
  const JobView view(run, input);
  for (const int index : view.active()) failures += view.restarts(index);
  using Phase = JobRun::Phase;
  if (failures > static_cast<uint32_t>(rules.backoff_limit)) {
    run.failed = failures;
    finish(run, input, Phase::Failed, "BackoffLimitExceeded",
           "it failed " + std::to_string(failures) + " times, more than backoffLimit " +
               std::to_string(rules.backoff_limit) + " allows; see wherry logs");
  } else if (is_complete(run, input)) {
    finish(run, input, Phase::Complete, "Completed", "");
  } else if (rules.active_deadline && run.since + *rules.active_deadline <= input.facts.now) {
    finish(run, input, Phase::Failed, "DeadlineExceeded",
           "it was not done within activeDeadlineSeconds");
  }
  return run;
}

JobPlan plan_job(const JobRun& run, const JobInput& input, const JobPauses& pauses) {
  return JobPlanner(run, input, pauses).run();
}

}  // namespace wherry
