#include "agent/reconcile/controller_desk.h"

#include <algorithm>

#include "base/backoff.h"
#include "base/log.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr Duration kStoreRetry = std::chrono::seconds(10);
// The wall clock may be set at any moment, and nothing tells: schedules are looked at this often.
constexpr Duration kCronLook = std::chrono::seconds(30);

std::string job_hash(const ControllerSpec& controller) {
  const auto& completions = controller.job.completions;
  return controller.pod_template.pod.hash + "/" +
         (completions ? std::to_string(*completions) : "-");
}

JobRun new_run(const ControllerSpec& controller, std::string name, const Clock& clock) {
  JobRun run;
  run.name = std::move(name);
  run.source = controller.source;
  run.run = random_hex(16);
  run.template_hash = job_hash(controller);
  run.started_at = clock.wall();
  run.since = clock.now();
  run.suspended = controller.job.suspend;
  return run;
}

// Their entries that are not in `from` as they are.
template <typename Map, typename Add>
void each_change(const Map& from, const Map& to, Add add) {
  for (const auto& [name, value] : to) {
    const auto old = from.find(name);
    if (old == from.end() || !(old->second == value)) add(value);
  }
}
template <typename Map>
std::vector<std::string> removed(const Map& from, const Map& to) {
  std::vector<std::string> names;
  for (const auto& [name, value] : from) {
    if (!to.contains(name)) names.push_back(name);
  }
  return names;
}

}  // namespace

Status ControllerDesk::load() {
  if (records_ == nullptr) return {};
  const auto jobs = records_->jobs();
  if (!jobs) return store_status_ = fail(jobs.error());
  for (const JobRecord& record : *jobs) runs_[record.name] = from_record(record, boot_clock());
  const auto crons = records_->cron_jobs();
  if (!crons) return store_status_ = fail(crons.error());
  for (const CronRecord& record : *crons) crons_[record.name] = record;
  return {};
}

ControllerDesk ControllerDesk::rehearsal() const {
  ControllerDesk copy = *this;
  copy.records_ = nullptr;
  copy.choices_.clear();  // they point into what was copied
  copy.changed_ = true;
  return copy;
}

void ControllerDesk::set(const Merged& merged, const std::set<std::string>& held) {
  controllers_.clear();
  for (const ControllerSpec& controller : merged.controllers) {
    controllers_[{controller.owner.kind, controller.owner.name}] = controller;
  }
  plain_ = merged.workloads;
  held_ = held;
  choices_.clear();
  changed_ = true;
}

const ControllerSpec* ControllerDesk::controller_of(const JobRun& run) const {
  const bool cron = !run.cron_job.empty();
  const auto found = controllers_.find(
      {cron ? OwnerKind::CronJob : OwnerKind::Job, cron ? run.cron_job : run.name});
  return found == controllers_.end() ? nullptr : &found->second;
}

// A document that has it again later is another Job.
void ControllerDesk::forget_what_is_gone() {
  std::erase_if(next_runs_, [&](const auto& entry) {
    return controller_of(entry.second) == nullptr && !held_.contains(entry.second.source);
  });
  std::erase_if(next_crons_, [&](const auto& entry) {
    return !controllers_.contains({OwnerKind::CronJob, entry.first}) &&
           !held_.contains(entry.second.source);
  });
}

bool ControllerDesk::update(const ControllerFacts& facts) {
  wake_at_.reset();
  if (controllers_.empty() && runs_.empty() && crons_.empty()) {
    const bool changed = changed_;
    if (changed) workloads_ = plain_;
    changed_ = false;
    return changed;
  }
  next_runs_ = runs_;
  next_crons_ = crons_;
  next_events_.clear();
  forget_what_is_gone();
  count_jobs(facts);  // first: an end may be what another Job waits for
  const std::string doubt = doubt_ ? doubt_() : "";
  for (const auto& [key, controller] : controllers_) {
    if (key.first == OwnerKind::Job) begin_job(controller);
    if (key.first != OwnerKind::CronJob) continue;
    wake(facts.now + kCronLook);
    if (doubt.empty()) {
      decide_cron_job(controller, facts.wall);
    } else {
      schedules_[key.second] = {};
      schedules_[key.second].reason = "ClockNotSynchronised";
      schedules_[key.second].message = doubt;
    }
    trim_history(controller);
  }
  if (!store()) wake(store_not_before_);
  choose(facts);
  const bool changed = changed_;
  if (changed) rebuild();
  changed_ = false;
  return changed;
}

void ControllerDesk::begin_job(const ControllerSpec& controller) {
  const std::string& name = controller.owner.name;
  const auto known = next_runs_.find(name);
  if (known != next_runs_.end() && known->second.template_hash == job_hash(controller)) {
    known->second.source = controller.source;
    return;
  }
  next_runs_[name] = new_run(controller, name, clock_);
  pauses_.erase(name);
  note(controller, name, "Normal", "JobStarted", "a run of Job " + name + " begins");
}

void ControllerDesk::decide_cron_job(const ControllerSpec& controller, WallTime wall) {
  const std::string& name = controller.owner.name;
  size_t active = 0;
  for (const auto& [job, run] : next_runs_) {
    active += run.cron_job == name && !run.finished() ? 1 : 0;
  }
  CronDecision decision = decide_cron(next_crons_[name], {controller.cron, wall, active});
  decision.record.name = name;
  decision.record.source = controller.source;
  next_crons_[name] = decision.record;
  if (decision.next) wake(clock_.now() + (*decision.next - wall));
  if (decision.replace) {
    std::erase_if(next_runs_, [&](const auto& entry) {
      return entry.second.cron_job == name && !entry.second.finished();
    });
  }
  if (decision.start) {
    const std::string job = cron_job_name(name, *decision.start);
    JobRun run = new_run(controller, job, clock_);
    run.cron_job = name;
    run.scheduled_at = *decision.start;
    next_runs_[job] = std::move(run);
    pauses_.erase(job);
    note(controller, name, "Normal", "JobCreated",
         "Job " + job + " starts, for " + to_rfc3339(*decision.start));
  }
  schedules_[name] = std::move(decision);
}

void ControllerDesk::trim_history(const ControllerSpec& controller) {
  std::vector<const JobRun*> complete, failed;
  for (const auto& [name, run] : next_runs_) {
    if (run.cron_job != controller.owner.name || !run.finished()) continue;
    (run.phase == JobRun::Phase::Complete ? complete : failed).push_back(&run);
  }
  std::vector<std::string> gone;
  const auto trim = [&](std::vector<const JobRun*>& runs, int limit) {
    std::sort(runs.begin(), runs.end(),
              [](const JobRun* a, const JobRun* b) { return a->scheduled_at > b->scheduled_at; });
    for (size_t i = static_cast<size_t>(limit); i < runs.size(); ++i) gone.push_back(runs[i]->name);
  };
  trim(complete, controller.cron.successful_limit);
  trim(failed, controller.cron.failed_limit);
  for (const std::string& name : gone) next_runs_.erase(name);
}

void ControllerDesk::count_jobs(const ControllerFacts& facts) {
  for (auto& [name, run] : next_runs_) {
    const ControllerSpec* controller = controller_of(run);
    if (controller == nullptr) continue;
    JobRun counted = count_job(run, {*controller, facts, random_unit()}, pauses_[name]);
    if (counted.finished() && !run.finished()) note_end(run, counted);
    run = std::move(counted);
  }
  std::erase_if(pauses_, [&](const auto& entry) { return !next_runs_.contains(entry.first); });
}

// True when everything is on the disk as it is to be; until then nothing is done about it.
bool ControllerDesk::store() {
  ControllerChanges changes;
  each_change(runs_, next_runs_,
              [&](const JobRun& run) { changes.jobs.push_back(to_record(run, boot_clock())); });
  each_change(crons_, next_crons_,
              [&](const CronRecord& cron) { changes.cron_jobs.push_back(cron); });
  changes.gone_jobs = removed(runs_, next_runs_);
  changes.gone_cron_jobs = removed(crons_, next_crons_);
  if (!changes.empty()) {
    if (clock_.now() < store_not_before_) return false;
    if (records_ != nullptr) store_status_ = records_->save_controllers(changes);
    if (!store_status_) {
      store_not_before_ = clock_.now() + kStoreRetry;
      return false;
    }
  }
  store_not_before_ = {};
  runs_ = next_runs_;
  crons_ = next_crons_;
  std::move(next_events_.begin(), next_events_.end(), std::back_inserter(events_));
  next_events_.clear();
  return true;
}

void ControllerDesk::choose(const ControllerFacts& facts) {
  std::map<std::string, const WorkloadSpec*> specs;
  for (const WorkloadSpec& workload : plain_) specs[workload.name()] = &workload;
  std::vector<Choices> choices;
  replicas_.clear();
  active_.clear();
  for (const auto& [key, controller] : controllers_) {
    if (key.first == OwnerKind::Job || key.first == OwnerKind::CronJob) continue;
    ReplicaPlan plan = plan_replicas(controller, specs, facts);
    wake(plan.wake_at);
    choices.push_back({&controller, "", plan.pods});
    replicas_[key] = std::move(plan);
  }
  for (const auto& [name, run] : runs_) {
    const ControllerSpec* controller = controller_of(run);
    if (controller == nullptr) continue;
    JobPlan plan = plan_job(run, {*controller, facts, 0}, pauses_[name]);
    wake(plan.wake_at);
    active_[name] = plan.active;
    choices.push_back({controller, name, std::move(plan.pods)});
  }
  changed_ = changed_ || choices != choices_;
  choices_ = std::move(choices);
}

void ControllerDesk::rebuild() {
  std::map<std::string, WorkloadSpec> all;
  for (const WorkloadSpec& workload : plain_) all.emplace(workload.name(), workload);
  for (const Choices& choices : choices_) {
    for (const PodChoice& choice : choices.pods) {
      if (!choices.job.empty()) {
        WorkloadSpec made = instantiate(choices.controller->pod_template,
                                        {choice.name, choices.job, choice.index}, choice.hash);
        made.source = choices.controller->source;
        made.revision = choices.controller->revision;
        if (choice.claim == Claim::Keep) made.restart_policy = RestartPolicy::Never;
        all.emplace(choice.name, std::move(made));
      }
      WorkloadSpec& workload = all.at(choice.name);
      workload.claim = choice.claim;
      workload.claim_reason = choice.reason;
      workload.claim_message = choice.message;
    }
  }
  workloads_.clear();
  for (auto& [name, workload] : all) workloads_.push_back(std::move(workload));
}

void ControllerDesk::wake(std::optional<MonoTime> at) {
  if (at && (!wake_at_ || *at < *wake_at_)) wake_at_ = at;
}

void ControllerDesk::note(const ControllerSpec& controller, const std::string& name,
                          const char* type, std::string reason, std::string message) {
  EventRecord event;
  event.at = clock_.wall();
  event.workload = name;
  event.type = type;
  event.reason = std::move(reason);
  event.message = std::move(message);
  event.revision = controller.revision;
  next_events_.push_back(std::move(event));
}

void ControllerDesk::note_end(const JobRun& before, const JobRun& after) {
  const ControllerSpec& controller = *controller_of(before);
  const bool good = after.phase == JobRun::Phase::Complete;
  note(controller, after.name, good ? "Normal" : "Warning", after.reason,
       good ? "Job " + after.name + " is complete"
            : "Job " + after.name + " failed: " + after.message);
}

}  // namespace wherry
