#pragma once
// Keeps the objects that own Pods: asks each controller what is wanted now, stores what was counted
// before anything is done about it, and hands the Pods to the planner as workloads.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/manifest/document.h"
#include "agent/reconcile/controller_facts.h"
#include "agent/reconcile/cron_controller.h"
#include "agent/reconcile/job_controller.h"
#include "agent/reconcile/records.h"
#include "agent/reconcile/replica_controller.h"
#include "agent/reconcile/state_view.h"

namespace wherry {

// Why the wall clock cannot be relied on yet; "" where it can.
using ClockDoubt = std::function<std::string()>;

class ControllerDesk {
 public:
  // `records` may be null: then nothing outlives the agent. `boot`: of the machine's present boot.
  ControllerDesk(ControllerRecords* records, const Clock& clock, std::string boot, ClockDoubt doubt)
      : records_(records), clock_(clock), boot_(std::move(boot)), doubt_(std::move(doubt)) {}

  // One that knows what this one knows, and stores nothing.
  ControllerDesk rehearsal() const;

  Status load();  // call once, first
  // What the documents want from now on. State of sources in `held` is kept whatever they want.
  void set(const Merged& merged, const std::set<std::string>& held);
  // Decides anew; true when workloads() is another than before.
  bool update(const ControllerFacts& facts);
  // Every Pod that is wanted now, sorted by name; those that no controller made too.
  const std::vector<WorkloadSpec>& workloads() const { return workloads_; }
  std::vector<ControllerView> views(const std::vector<ControllerView>& before, WallTime now) const;
  std::optional<MonoTime> wake_at() const { return wake_at_; }
  const Status& store_status() const { return store_status_; }
  std::vector<EventRecord> take_events() { return std::exchange(events_, {}); }

 private:
  using Key = std::pair<OwnerKind, std::string>;
  struct Choices {
    const ControllerSpec* controller;
    std::string job;  // of a Job's Pods: its name
    std::vector<PodChoice> pods;
    bool operator==(const Choices&) const = default;
  };

  BootClock boot_clock() const { return {boot_, clock_.now()}; }
  const ControllerSpec* controller_of(const JobRun& run) const;
  void forget_what_is_gone();
  void begin_job(const ControllerSpec& controller);
  void decide_cron_job(const ControllerSpec& controller, WallTime wall);
  void trim_history(const ControllerSpec& controller);
  void count_jobs(const ControllerFacts& facts);
  bool store();
  void choose(const ControllerFacts& facts);
  void rebuild();
  void wake(std::optional<MonoTime> at);
  void note(const ControllerSpec& controller, const std::string& name, const char* type,
            std::string reason, std::string message);
  void note_end(const JobRun& before, const JobRun& after);
  ControllerView view_of(const ControllerSpec& controller) const;
  ControllerView view_of(const ControllerSpec& controller, const JobRun& run) const;

  ControllerRecords* records_;
  const Clock& clock_;
  const std::string boot_;
  const ClockDoubt doubt_;

  std::map<Key, ControllerSpec> controllers_;
  std::set<std::string> held_;
  std::vector<WorkloadSpec> plain_;  // as merged: with the Pods of replicas

  // What is stored, and what it is to become.
  std::map<std::string, JobRun> runs_, next_runs_;
  std::map<std::string, CronRecord> crons_, next_crons_;
  std::vector<EventRecord> next_events_;
  std::map<std::string, JobPauses> pauses_;
  MonoTime store_not_before_{};
  Status store_status_;

  std::map<std::string, CronDecision> schedules_;  // for the views
  std::map<Key, ReplicaPlan> replicas_;
  std::map<std::string, size_t> active_;  // Pods of each Job
  std::vector<Choices> choices_;
  bool changed_ = true;
  std::vector<WorkloadSpec> workloads_;
  std::optional<MonoTime> wake_at_;
  std::vector<EventRecord> events_;
};

}  // namespace wherry
