#pragma once
// Makes what should run and what runs the same. One thread owns all state: it reads its mail, plans
// and hands actions to workers; it never calls the container stack and never waits for it.
// See docs/decisions/0001-reconciler.md.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/reconcile/controller_desk.h"
#include "agent/reconcile/device_desk.h"
#include "agent/reconcile/dispatcher.h"
#include "agent/reconcile/document_desk.h"
#include "agent/reconcile/gauge_desk.h"
#include "agent/reconcile/image_book.h"
#include "agent/reconcile/ledger.h"
#include "agent/reconcile/order_desk.h"
#include "agent/reconcile/prune_desk.h"
#include "agent/reconcile/rehearsal.h"
#include "agent/reconcile/reporter.h"
#include "agent/reconcile/service_desk.h"

namespace wherry {

struct ReconcilerOptions {
  std::vector<std::string> sources;  // "groups/<g>" …, "devices/<id>": the strongest last
  DeviceFacts facts;
  DeviceView device;  // `containerd` is filled in when it is known
  Dispatcher::Limits limits;
  Duration resync = std::chrono::minutes(5);  // in case an event was lost
  SignatureOptions signatures{};              // of documents
};

// All must outlive the reconciler, and `lanes` must be idle before it dies.
struct ReconcilerParts {
  runtime::Runtime& runtime;
  runtime::Images& images;
  Records& records;
  StateBoard& board;
  Lanes& lanes;
  Mailbox& mailbox;
  const Clock& clock;
  Reporter::Publish publish;
  // Version of the container stack; called on the look lane. May be empty.
  std::function<Result<std::string>()> runtime_version;
  UseRecords* uses = nullptr;                // null: the use of images is forgotten with the agent
  KeepingBoard* keeping = nullptr;           // told which images may go; may be null
  ControllerRecords* controllers = nullptr;  // null: what Jobs came to is forgotten with the agent
  ClockDoubt clock_doubt{};                  // asked from the reconciler's thread; may be empty
  runtime::Health* health = nullptr;         // null: nothing is probed, and hooks are left out
  ServiceDesk::Parts services{};             // as they are: Services lead nowhere
  runtime::Resizer* resizer = nullptr;       // null: what runs keeps its cpu and memory
  runtime::Gauges* gauges = nullptr;         // null: nobody is stopped when the device runs short
  runtime::Devices* devices = nullptr;       // null: there are none
  // What the agent itself took on the last day. May be empty.
  std::function<std::optional<UsageView>()> usage{};
  OrderRecords* orders = nullptr;  // null: orders are forgotten with the agent
};

class Reconciler {
 public:
  Reconciler(ReconcilerParts parts, ReconcilerOptions options);
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;

  // Reads what earlier lives left. Call once, before step() or run().
  void start();
  // Everything there is to do now; does not wait.
  void step();
  // When step() has something to do even without mail.
  std::optional<MonoTime> wake_at() const;
  // Steps until Mail::stop, then cancels what is under way. Containers are left alone.
  void run();

  // From any thread: an error when one step takes unreasonably long.
  Status alive() const;

 private:
  void read(Mail mail);
  void want();
  void read_runtime(Mail& mail);
  void read_results(Mail& mail);
  void read_requests(Mail& mail);
  void looked(const LookResult& result);
  Plan act();
  void act_on(const Plan& plan);
  void begin_pulls(const Plan& plan, MonoTime now);
  void record();
  void answer_rehearsals();
  void look();
  void show(const Plan& plan);
  void keep_images();
  void look_after_health();
  void look_after_services(const Plan& plan);
  void prune();
  void pruned(const Result<runtime::PruneReport>& report);
  void set_containerd(bool ready, std::string reason, const std::string& message);
  void set_store();
  void drop_abandoned(const Plan& plan);
  bool may_act() const { return containerd_.status() && collected_; }

  ReconcilerParts parts_;
  const ReconcilerOptions options_;
  DocumentDesk desk_;
  ControllerDesk controllers_;
  OrderDesk orders_;
  Ledger ledger_;
  Dispatcher dispatcher_;
  Reporter reporter_;
  ImageBook book_;
  PruneDesk pruning_;
  ServiceDesk services_;
  GaugeDesk gauges_;
  DeviceDesk devices_;

  Condition containerd_, broker_, store_;
  std::optional<Condition> certificate_;  // where there are certificates
  DeviceView device_;
  std::vector<runtime::ProbeTarget> probed_;
  bool looking_ = false;  // a look is under way
  bool listing_ = false;  // … of images
  bool list_needed_ = false;
  bool looked_once_ = false;
  bool collecting_ = false, collected_ = false;
  bool first_pass_done_ = false;
  // Images whose unfinished pulls are kept; nothing: all, it is not known yet who is wanted.
  std::optional<std::set<std::string>> kept_pulls_;
  bool dropping_ = false;
  uint32_t look_failures_ = 0;
  MonoTime look_not_before_{};
  uint32_t unclear_looks_ = 0;  // in a row: some container's state was not to be had
  std::optional<MonoTime> look_again_at_;
  MonoTime resync_at_{};
  bool desired_changed_ = true;
  Status flushed_;
  std::optional<MonoTime> flush_at_;
  MonoTime progress_at_{};  // when progress of pulls was last read
  std::optional<MonoTime> plan_at_;
  std::map<std::string, uint64_t> served_;  // workload -> when it was last acted on
  uint64_t serving_ = 0;
  bool stopping_ = false;
  std::vector<RehearsalAnswer> rehearsals_;  // answered when what is known is as in the mail
  std::atomic<int64_t> busy_since_{0};       // 0: waiting
};

}  // namespace wherry
