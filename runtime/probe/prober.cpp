#include "runtime/probe/prober.h"

#include <algorithm>
#include <csignal>
#include <set>
#include <thread>

#include "runtime/probe/checker.h"
#include "runtime/probe/probe_state.h"

namespace wherry::runtime {
namespace {

// Probes that are due soon after one another are made together: fewer wakeups, and nobody asked for
// more than seconds.
constexpr Duration kTogether = std::chrono::milliseconds(20);

// Why a container is not ready may be another each time: so often it is told.
constexpr Duration kToldAgain = std::chrono::seconds(10);

using Change = ProbeState::Change;
using Kind = ProbeKind;

// One container and its probes.
struct Patient {
  explicit Patient(ProbeTarget given) : target(std::move(given)) {
    const ContainerSpec& spec = *target.container;
    add(Kind::Startup, spec.startup);
    add(Kind::Liveness, spec.liveness);
    add(Kind::Readiness, spec.readiness);
    started = !spec.startup;
  }
  void add(Kind kind, const std::optional<Probe>& probe) {
    if (probe) states.emplace(kind, ProbeState(*probe, kind, target.since, target.adopted));
  }
  const Probe& probe(Kind kind) const {
    const ContainerSpec& spec = *target.container;
    return kind == Kind::Startup    ? *spec.startup
           : kind == Kind::Liveness ? *spec.liveness
                                    : *spec.readiness;
  }
  bool may_run(Kind kind) const {
    return !over && !busy.contains(kind) && (kind == Kind::Startup ? !started : started);
  }

  ProbeTarget target;
  std::map<Kind, ProbeState> states;
  std::set<Kind> busy;
  bool started = false;
  std::string unready;  // why it is not ready, as said last; empty while it is
  MonoTime unready_said{};
  bool over = false;  // it is to be ended: nothing more is to be found out
};

class Prober final : public Health {
 public:
  Prober(Execs& execs, const Clock& clock) : clock_(clock), checker_(execs, clock) {}
  ~Prober() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    checker_.wake();
    if (thread_.joinable()) thread_.join();
  }
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  void listen(Sink sink) override { sink_ = std::move(sink); }

  void watch(std::vector<ProbeTarget> targets) override {
    const std::lock_guard lock(mutex_);
    if (targets.empty() && !thread_.joinable()) return;
    wanted_ = std::move(targets);
    start();
  }

  void run(HookRequest hook) override {
    const std::lock_guard lock(mutex_);
    hooks_.push_back(std::move(hook));
    start();
  }

 private:
  void start() {  // on first use, as most devices probe something, but not all
    if (!thread_.joinable()) {
      thread_ = std::thread([this] { loop(); });
    } else {
      checker_.wake();
    }
  }

  void loop() {
    name_this_thread("prober");
    sigset_t pipe;  // OpenSSL writes without MSG_NOSIGNAL
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    while (take_orders()) {
      start_due();
      checker_.wait(next_due());
    }
  }

  bool take_orders() {
    std::optional<std::vector<ProbeTarget>> wanted;
    std::vector<HookRequest> hooks;
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return false;
      wanted.swap(wanted_);
      hooks.swap(hooks_);
    }
    if (wanted) take(std::move(*wanted));
    for (HookRequest& hook : hooks) begin(std::move(hook));
    return true;
  }

  void take(std::vector<ProbeTarget> targets) {
    std::set<std::string> ids;
    for (ProbeTarget& target : targets) {
      const std::string id = target.container_id;
      ids.insert(id);
      const auto known = patients_.find(id);
      // Labels may have changed, or when it was first seen: it is the same container all the same.
      if (known == patients_.end()) {
        patients_.emplace(id, Patient(std::move(target)));
      } else if (known->second.target.address != target.address) {
        known->second.target.address = target.address;
      }
    }
    std::erase_if(patients_, [&](const auto& each) { return !ids.contains(each.first); });
    timetable_.clear();
    for (auto& [id, patient] : patients_) plan(id, patient);
  }

  void plan(const std::string& id, Patient& patient) {
    for (auto& [kind, state] : patient.states) {
      if (patient.may_run(kind)) timetable_.insert({state.due(), {id, kind}});
    }
  }

  std::optional<MonoTime> next_due() const {
    if (timetable_.empty()) return {};
    return timetable_.begin()->first;
  }

  void start_due() {
    const MonoTime now = clock_.now();
    if (timetable_.empty() || timetable_.begin()->first > now) return;
    while (!timetable_.empty() && timetable_.begin()->first <= now + kTogether) {
      const auto [id, kind] = timetable_.begin()->second;
      timetable_.erase(timetable_.begin());
      const auto found = patients_.find(id);
      if (found != patients_.end() && found->second.may_run(kind)) probe(id, found->second, kind);
    }
  }

  void probe(const std::string& id, Patient& patient, Kind kind) {
    const Probe& probe = patient.probe(kind);
    patient.busy.insert(kind);
    const MonoTime began = clock_.now();
    checker_.run({id, probe.check, patient.target.address, probe.timeout},
                 [this, id, kind, began](const Status& status) {
                   const auto found = patients_.find(id);
                   if (found == patients_.end()) return;
                   probed(id, found->second, kind, began, status);
                 });
  }

  void probed(const std::string& id, Patient& patient, Kind kind, MonoTime began,
              const Status& status) {
    const MonoTime now = clock_.now();
    patient.busy.erase(kind);
    ProbeState& state = patient.states.at(kind);
    // Neither a container stack that is away nor a container that has ended says anything of
    // health.
    const bool unknown = !status && (status.error().code() == Code::Cancelled ||
                                     status.error().code() == Code::NotFound);
    if (unknown) {
      state.skip(now);
    } else {
      const Change change = state.finish(status.has_value(), began, now);
      if (change != Change::None) {
        tell(patient, kind, change == Change::Good, status);
      } else if (kind == Kind::Readiness && !status && !patient.unready.empty() &&
                 now >= patient.unready_said + kToldAgain &&
                 patient.unready != status.error().full()) {
        tell(patient, kind, false, status);
      }
    }
    if (patient.may_run(kind)) timetable_.insert({state.due(), {id, kind}});
  }

  void tell(Patient& patient, Kind kind, bool good, const Status& status) {
    ProbeNews news{patient.target.container_id, patient.target.pod, patient.target.container->name,
                   ProbeNews::Kind::Started, status ? "" : status.error().full()};
    if (kind == Kind::Readiness) {
      news.kind = good ? ProbeNews::Kind::Ready : ProbeNews::Kind::NotReady;
      patient.unready = news.message;
      patient.unready_said = clock_.now();
    } else if (!good) {
      news.kind =
          kind == Kind::Startup ? ProbeNews::Kind::StartupFailed : ProbeNews::Kind::LivenessFailed;
      patient.over = true;
    } else if (kind == Kind::Liveness) {
      return;
    } else {
      patient.started = true;
      plan(news.container_id, patient);
    }
    sink_.probed(std::move(news));
  }

  void begin(HookRequest hook) {
    const bool sleeps = hook.handler.kind == Handler::Kind::Sleep;
    const Duration timeout = sleeps ? std::min(hook.handler.sleep, hook.timeout) : hook.timeout;
    const Check check{hook.container_id, hook.handler, hook.address, timeout,
                      hook.pre_stop ? Lane::PreStop : Lane::PostStart};
    checker_.run(check, [this, hook = std::move(hook)](const Status& status) {
      sink_.hooked({hook, status});
    });
  }

  const Clock& clock_;
  Sink sink_;
  Checker checker_;  // the thread's own, but for wake()

  // The thread's own.
  std::map<std::string, Patient> patients_;  // by container id
  std::multimap<MonoTime, std::pair<std::string, Kind>> timetable_;

  std::mutex mutex_;
  bool stop_ = false;
  std::optional<std::vector<ProbeTarget>> wanted_;
  std::vector<HookRequest> hooks_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Health> make_prober(Execs& execs, const Clock& clock) {
  return std::make_unique<Prober>(execs, clock);
}

}  // namespace wherry::runtime
