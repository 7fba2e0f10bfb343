#include "agent/reconcile/reconciler.h"

#include <algorithm>
#include <utility>

#include "agent/reconcile/strike_out.h"
#include "agent/reconcile/view_builder.h"
#include "agent/reconcile/wake.h"
#include "base/log.h"
#include "base/quantity.h"
#include "runtime/image/reference.h"

namespace wherry {
namespace {

constexpr Backoff kLookBackoff{std::chrono::milliseconds(200), std::chrono::seconds(10)};
// Nothing tells when a shim that does not answer does so again.
constexpr Backoff kUnclearBackoff{std::chrono::seconds(1), std::chrono::minutes(5)};
constexpr Duration kFlushRetry = std::chrono::seconds(10);
constexpr Duration kShowProgress = std::chrono::seconds(1);
constexpr Duration kStuck = std::chrono::seconds(60);

// Errors that name containerd say themselves that it is away.
std::string away(const std::string& detail) {
  const std::string what =
      detail.starts_with("containerd ") ? detail : "containerd is not reachable: " + detail;
  return what + "; running containers go on; check systemctl status containerd";
}

bool is_unclear(const std::vector<runtime::PodStatus>& pods) {
  return std::any_of(pods.begin(), pods.end(), [](const runtime::PodStatus& pod) {
    return std::any_of(pod.containers.begin(), pod.containers.end(), [](const auto& container) {
      return container.state == runtime::ContainerState::Unknown;
    });
  });
}

}  // namespace

Reconciler::Reconciler(ReconcilerParts parts, ReconcilerOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      desk_(options_.sources, options_.facts, parts_.records, parts_.clock, options_.signatures),
      controllers_(parts_.controllers, parts_.clock, options_.device.boot, parts_.clock_doubt),
      orders_(parts_.orders, parts_.clock),
      ledger_(parts_.records, parts_.clock, options_.device.boot, capacity_of(options_.facts)),
      dispatcher_(parts_.runtime, parts_.images, parts_.lanes, parts_.mailbox, options_.limits,
                  parts_.resizer),
      reporter_(parts_.board, parts_.publish, parts_.clock),
      book_(parts_.uses),
      services_(parts_.services, parts_.clock),
      gauges_(parts_.gauges, options_.facts.disk_reserve),
      devices_(parts_.devices),
      containerd_("ContainerdReady", "NotAskedYet", "containerd has not answered yet"),
      broker_("BrokerConnected", "Connecting", "not connected to a broker yet"),
      store_("StoreReady", "NotReadYet", "the store has not been read yet"),
      device_(options_.device) {}

void Reconciler::start() {
  ledger_.look_at_all();
  look();  // meanwhile the documents are read
  const Status documents = desk_.load();
  const Status histories = ledger_.load();
  ledger_.offer(desk_.superseded_workloads());
  const Status uses = book_.load();
  const Status jobs = controllers_.load();
  const Status services = services_.load();
  const Status orders = orders_.load();
  flushed_ = !documents ? documents : !histories ? histories : !uses ? uses : jobs;
  if (flushed_) flushed_ = services ? orders : services;
  set_store();
  resync_at_ = parts_.clock.now() + options_.resync;
}

void Reconciler::run() {
  while (!stopping_) {
    busy_since_ = parts_.clock.now().time_since_epoch().count();
    step();
    busy_since_ = 0;
    if (stopping_) break;
    const auto wake = wake_at();
    const Duration timeout = wake ? *wake - parts_.clock.now() : options_.resync;
    // Progress is shown once a second, however often it is told.
    const Duration patience = progress_at_ + kShowProgress - parts_.clock.now();
    if (timeout > Duration::zero()) parts_.mailbox.wait(timeout, patience);
  }
  dispatcher_.cancel_all();
  services_.stop();
  const Error stopped(Code::Cancelled, "the agent is stopping");
  pruning_.done(fail(stopped));
  pruning_.refuse(stopped);
  orders_.refuse(stopped);
  for (const RehearsalAnswer& answer : std::exchange(rehearsals_, {})) answer(fail(stopped));
}

Status Reconciler::alive() const {
  const int64_t since = busy_since_;
  if (since == 0) return {};
  const Duration busy = parts_.clock.now() - MonoTime(Duration(since));
  if (busy < kStuck) return {};
  return fail(Code::DeadlineExceeded,
              "the reconciler has been at one step for " +
                  format_duration(std::chrono::floor<std::chrono::seconds>(busy)),
              "Stuck");
}

void Reconciler::step() {
  read(parts_.mailbox.take());
  const MonoTime now = parts_.clock.now();
  dispatcher_.tick(now);
  desired_changed_ = desk_.retry() || desired_changed_;
  if (now >= resync_at_) {
    ledger_.look_at_all();
    resync_at_ = now + options_.resync;
    pruning_.look_soon();
    services_.look_again();
  }
  if (look_again_at_ && now >= *look_again_at_) {
    ledger_.look_at_all();
    look_again_at_.reset();
  }
  if (desired_changed_) {
    controllers_.set(desk_.merged(), desk_.held_sources());
    services_.set(desk_.merged(), desk_.held_sources());
    desired_changed_ = false;
  }
  want();
  answer_rehearsals();
  look();
  keep_images();
  const Plan done = act();
  look_after_services(done);
  look_after_health();
  devices_.look(dispatcher_, ledger_, done, now);
  gauges_.look(may_act() && !stopping_, dispatcher_, ledger_, now);
  prune();
  record();
  show(done);
}

void Reconciler::want() {
  const MonoTime now = parts_.clock.now();
  const auto decide = [&] {
    return controllers_.update(
        {ledger_.observed(), ledger_.memory(), now, parts_.clock.wall(), orders_.stopped()});
  };
  const bool decided = decide();
  const bool ordered =
      orders_.update({controllers_.workloads(), ledger_.observed(), ledger_.memory(), may_act(),
                      desk_.unread_sources().empty(), now});
  const auto take = [&] {
    ledger_.set_desired(orders_.apply(controllers_.workloads()));
    dispatcher_.cancel_starts_unless(ledger_.desired());
  };
  if (ordered) (void)decide();  // the others of a Pod that was stopped need not wait for it
  if (decided || ordered) take();
  // A rollout need not wait for what is as it wants it.
  const std::vector<std::string> same = ledger_.find_same_images();
  for (const std::string& name : same) {
    log_info("its images are the same under other references: it goes on", {{"workload", name}});
  }
  if (!same.empty() && decide()) take();
}

void Reconciler::look_after_health() {
  for (runtime::HookRequest& hook : ledger_.take_hooks()) {
    if (parts_.health != nullptr) {
      parts_.health->run(std::move(hook));
    } else {
      parts_.mailbox.post([&](Mail& mail) { mail.hooked.push_back({std::move(hook), {}}); });
    }
  }
  if (parts_.health == nullptr) return;
  std::vector<runtime::ProbeTarget> targets;
  if (!stopping_) targets = ledger_.probe_targets();
  if (targets == probed_) return;
  probed_ = targets;
  parts_.health->watch(std::move(targets));
}

// While the container stack is away nobody knows which Pods are ready: all stays as it is.
void Reconciler::look_after_services(const Plan& plan) {
  if (!first_pass_done_ || !may_act() || stopping_) return;
  const std::set<std::string> held;
  services_.update(ledger_.input(held, parts_.clock.now()), plan, parts_.lanes, parts_.mailbox);
}

// After the actions were handed out: nothing of it is needed to act.
void Reconciler::record() {
  const MonoTime now = parts_.clock.now();
  for (EventRecord& event : desk_.take_events()) ledger_.note(std::move(event));
  for (EventRecord& event : controllers_.take_events()) ledger_.note(std::move(event));
  for (EventRecord& event : orders_.take_events()) ledger_.note(std::move(event));
  if (!flush_at_ || *flush_at_ <= now) {
    flushed_ = ledger_.flush();
    if (Status uses = book_.flush(); flushed_) flushed_ = uses;
    // What came of an earlier version must be on the disk before that version is forgotten.
    const auto needed = flushed_ ? ledger_.needed_versions() : std::nullopt;
    if (needed) {
      if (Status forgotten = desk_.forget_superseded(*needed); flushed_) flushed_ = forgotten;
    }
    flush_at_.reset();
    if (!flushed_) flush_at_ = now + kFlushRetry;
  }
  set_store();
}

std::optional<MonoTime> Reconciler::wake_at() const {
  std::optional<MonoTime> wake = resync_at_;
  const MonoTime now = parts_.clock.now();
  earlier(wake, plan_at_);
  earlier(wake, look_again_at_);
  earlier(wake, reporter_.wake_at());
  earlier(wake, dispatcher_.wake_at(now));
  earlier(wake, desk_.retry_at());
  earlier(wake, controllers_.wake_at());
  earlier(wake, orders_.wake_at());
  earlier(wake, flush_at_);
  earlier(wake, gauges_.wake_at());
  earlier(wake, devices_.wake_at());
  // Neither is asked to do anything before.
  if (first_pass_done_ && may_act() && !stopping_) {
    earlier(wake, services_.wake_at());
    earlier(wake, pruning_.wake_at(!ledger_.short_of_space().empty()));
  }
  const bool look_waits = !looking_ && (ledger_.look_needed() || list_needed_);
  if (look_waits && look_not_before_ > now) earlier(wake, look_not_before_);
  return wake;
}

void Reconciler::read(Mail mail) {
  strike_out(desk_.secrets(), mail);
  stopping_ = stopping_ || mail.stop;
  read_runtime(mail);
  read_results(mail);
  if (mail.manifests) desired_changed_ = desk_.take_manifests(*mail.manifests) || desired_changed_;
  for (const auto& [source, payload] : mail.documents) {
    desired_changed_ = desk_.receive(source, payload) || desired_changed_;
  }
  read_requests(mail);
  for (EventRecord& note : mail.notes) ledger_.note(std::move(note));
  if (mail.link) {
    const LinkStatus& link = *mail.link;
    const WallTime now = parts_.clock.wall();
    broker_.set(link.connected, link.reason, link.message, now);
    if (!link.certificate) {
      certificate_.reset();
    } else {
      if (!certificate_) certificate_.emplace("CertificateValid", "", "");
      certificate_->set(link.certificate->valid, link.certificate->reason,
                        link.certificate->message, now);
    }
  }
}

void Reconciler::read_runtime(Mail& mail) {
  if (mail.connected) {
    if (*mail.connected) {
      look_not_before_ = {};
      const bool posted =
          !parts_.runtime_version ||
          parts_.lanes.post(Lane::Look, [ask = parts_.runtime_version, &box = parts_.mailbox] {
            auto version = ask();
            if (version) box.post([&](Mail& m) { m.runtime_version = std::move(*version); });
          });
      if (!posted) log_debug("version of the container stack not asked for");
    } else {
      set_containerd(false, "ContainerdUnavailable", away(mail.detail));
      ledger_.look_at_all();
      look_not_before_ = parts_.clock.now() + kLookBackoff.delay(3, 0);
    }
  }
  if (mail.runtime_version) device_.containerd = *mail.runtime_version;
  if (mail.look_at_all) ledger_.look_at_all();
  for (const std::string& pod : mail.look_at) ledger_.look_at(pod);
  list_needed_ = list_needed_ || mail.images_changed;
  // A pull or an import that was not ours to begin has ended; or containerd is back, which may not
  // have heard what we gave up meanwhile.
  if (mail.images_changed) kept_pulls_.reset();
}

void Reconciler::read_results(Mail& mail) {
  for (const ActionResult& result : mail.acted) {
    dispatcher_.acted(result.action.workload);
    ledger_.acted(result);
    if (result.action.kind == ActionKind::Remove) pruning_.look_soon();
  }
  for (const runtime::ProbeNews& news : mail.probed) ledger_.probed(news);
  for (const runtime::HookDone& done : mail.hooked) ledger_.hooked(done);
  if (!mail.progress.empty()) progress_at_ = parts_.clock.now();
  for (const auto& [reference, progress] : mail.progress) {
    ledger_.progressed(reference, progress);
  }
  for (const PullResult& result : mail.pulled) {
    dispatcher_.pulled(result.reference);
    ledger_.pulled(result, !containerd_.status());
    // One that was cancelled because nobody wants it any more, say.
    if (!result.image) kept_pulls_.reset();
    pruning_.look_soon();
  }
  if (mail.services) services_.done(*mail.services);
  if (mail.pruned) pruned(*mail.pruned);
  pruning_.order(std::move(mail.prunes));
  orders_.add(std::move(mail.orders));
  if (mail.images) {
    listing_ = false;
    if (*mail.images) {
      ledger_.listed(**mail.images);
      book_.listed(**mail.images, parts_.clock.wall());
      pruning_.look_soon();
    } else {
      list_needed_ = true;
      look_not_before_ = parts_.clock.now() + kLookBackoff.delay(1, 0);
    }
  }
  if (mail.collected) {
    collecting_ = false;
    collected_ = true;
    if (!*mail.collected) {
      log_warn("leftovers of an earlier life not all removed",
               {{"error", mail.collected->error().full()}});
    }
  }
  if (mail.gauged) gauges_.gauged(*mail.gauged, ledger_, pruning_, parts_.clock.now());
  if (mail.devices) devices_.looked(std::move(*mail.devices), ledger_);
  if (mail.devices_changed) devices_.look_again();
  if (mail.dropped) {
    dropping_ = false;
    if (!*mail.dropped) {
      kept_pulls_.reset();
      log_debug("abandoned pulls not dropped yet", {{"error", mail.dropped->error().full()}});
    }
  }
  for (const LookResult& result : mail.looked) looked(result);
  if (ledger_.take_unreachable()) {
    ledger_.look_at_all();
    set_containerd(false, "ContainerdUnavailable", "containerd did not answer; asking again");
    look_not_before_ = parts_.clock.now() + kLookBackoff.delay(3, 0);
  }
}

void Reconciler::looked(const LookResult& result) {
  looking_ = false;
  if (!result.pods) {
    ++look_failures_;
    look_not_before_ = parts_.clock.now() + kLookBackoff.delay(look_failures_, random_unit());
    set_containerd(false, "ContainerdUnavailable", away(result.pods.error().full()));
    ledger_.look_at_all();
    return;
  }
  look_failures_ = 0;
  unclear_looks_ = is_unclear(*result.pods) ? unclear_looks_ + 1 : 0;
  look_again_at_.reset();
  if (unclear_looks_ > 0) {
    look_again_at_ = parts_.clock.now() + kUnclearBackoff.delay(unclear_looks_, random_unit());
  }
  ledger_.looked(result.begun, *result.pods);
  looked_once_ = true;
  set_containerd(true, "", "");
}

void Reconciler::set_containerd(bool ready, std::string reason, const std::string& message) {
  if (!containerd_.set(ready, std::move(reason), message, parts_.clock.wall())) return;
  EventRecord event;
  event.type = ready ? "Normal" : "Warning";
  event.reason = ready ? "ContainerdReady" : "ContainerdUnavailable";
  event.message = ready ? "containerd answers" : message;
  log(ready ? LogLevel::Info : LogLevel::Warn, event.message);
  ledger_.note(std::move(event));
}

void Reconciler::set_store() {
  const Status& kept = controllers_.store_status() ? flushed_ : controllers_.store_status();
  const Status& rest = kept ? services_.store_status() : kept;
  const Status& worst = desk_.store_status() ? rest : desk_.store_status();
  if (worst) {
    store_.set(true, "", "", parts_.clock.wall());
  } else {
    store_.set(false, "StoreFailed",
               "the state directory cannot be written: " + worst.error().full() +
                   "; free space or check the disk",
               parts_.clock.wall());
  }
}

void Reconciler::look() {
  const MonoTime now = parts_.clock.now();
  if (now < look_not_before_) return;
  if (!looking_ && ledger_.look_needed()) looking_ = dispatcher_.look(ledger_.begin_look());
  // Before the first start: afterwards what is being made would look left over.
  if (looked_once_ && !collected_ && !collecting_ && containerd_.status()) {
    std::vector<std::string> keep;
    for (const auto& [name, memory] : ledger_.memory()) {
      if (memory.ran_before() || ledger_.observed().contains(name)) keep.push_back(name);
    }
    collecting_ = dispatcher_.collect(std::move(keep));
  }
  if (looked_once_ && !listing_ && list_needed_ && containerd_.status()) {
    listing_ = dispatcher_.list_images();
    list_needed_ = !listing_;
  }
}

Plan Reconciler::act() {
  const std::set<std::string> held = desk_.held_sources();
  Plan next = plan(ledger_.input(held, parts_.clock.now()));
  plan_at_ = next.wake_at;
  if (may_act() && !stopping_) {
    act_on(next);
    drop_abandoned(next);
    first_pass_done_ = true;
  }
  return next;
}

void Reconciler::act_on(const Plan& plan) {
  const MonoTime now = parts_.clock.now();
  std::vector<const Action*> actions;
  for (const auto& [name, verdict] : plan.workloads) {
    if (verdict.action) actions.push_back(&*verdict.action);
  }
  // Who waited longest goes first: a quick crash loop must not starve its neighbours.
  std::stable_sort(actions.begin(), actions.end(), [this](const Action* a, const Action* b) {
    return served_[a->workload] < served_[b->workload];
  });
  for (const Action* action : actions) {
    if (!dispatcher_.act(services_.linked(ledger_.labelled(*action)), now)) continue;
    served_[action->workload] = ++serving_;
    ledger_.acting(*action);
  }
  std::erase_if(served_, [&](const auto& entry) { return !plan.workloads.contains(entry.first); });
  for (const std::string& reference : ledger_.unwanted_pulls(plan.pulls)) {
    dispatcher_.cancel_pull(reference);
  }
  begin_pulls(plan, now);
}

void Reconciler::show(const Plan& plan) {
  const WallTime now = parts_.clock.wall();
  const std::set<std::string> held;
  StateView view;
  view.first_pass_done = first_pass_done_;
  view.device = device_;
  view.workloads =
      view_workloads(ledger_.input(held, parts_.clock.now()), plan, *reporter_.shown(), now);
  for (WorkloadView& workload : view.workloads) {
    const bool waits = workload.phase == Phase::Starting || workload.phase == Phase::Pulling;
    if (containerd_.status() || !waits) continue;
    workload.phase = Phase::Pending;
    workload.reason = "ContainerdUnavailable";
    workload.message = "waits for containerd; see the condition ContainerdReady";
    workload.pulls.clear();
  }
  view.controllers = controllers_.views(reporter_.shown()->controllers, now);
  view.desired = desk_.views();
  view.services = services_.views();
  const std::vector<Finding> troubles = services_.errors();
  for (DesiredView& desired : view.desired) {
    for (const Finding& trouble : troubles) {
      const bool own = trouble.path.starts_with(desired.source + ":") ||
                       trouble.path.starts_with(desired.source + "/");
      if (own) desired.errors.push_back(trouble);
    }
    const bool readable = !desired.digest.empty() && desired.errors.empty();
    desired.state = desired_state(desired.source, readable, view);
    if (readable && !first_pass_done_) desired.state = "Applying";
  }
  view.images = book_.views();
  if (parts_.usage) view.usage = parts_.usage();
  view.conditions = {containerd_.view(), broker_.view(), store_.view()};
  if (certificate_) view.conditions.push_back(certificate_->view());
  // What is not known yet is nothing to tell the fleet.
  reporter_.show(std::move(view), first_pass_done_ || look_failures_ > 0);
}

}  // namespace wherry
