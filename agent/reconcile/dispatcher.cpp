#include "agent/reconcile/dispatcher.h"

#include <algorithm>
#include <utility>

#include "base/failpoint.h"

namespace wherry {

namespace {

// What one attempt has added to what was there before it.
class PullGain {
 public:
  void note(int64_t done) {
    if (first_ < 0) first_ = done;
    most_ = std::max(most_, done);
  }
  bool worth_it() const { return most_ - first_ >= 64 << 10; }

 private:
  int64_t first_ = -1, most_ = -1;
};

}  // namespace

Dispatcher::Dispatcher(runtime::Runtime& runtime, runtime::Images& images, Lanes& lanes,
                       Mailbox& mailbox, Limits limits, runtime::Resizer* resizer)
    : runtime_(runtime),
      images_(images),
      lanes_(lanes),
      mailbox_(mailbox),
      limits_(limits),
      resizer_(resizer) {}

Dispatcher::~Dispatcher() { cancel_all(); }

bool Dispatcher::act(const Action& action, MonoTime now) {
  const auto brisk =
      static_cast<size_t>(std::count_if(actions_.begin(), actions_.end(), [&](const auto& running) {
        return now - running.second.begun < limits_.slow;
      }));
  if (brisk >= limits_.parallel || actions_.size() >= limits_.threads) return false;
  if (actions_.contains(action.workload)) return false;
  Running running;
  running.begun = now;
  running.start = action.kind == ActionKind::Start;
  if (action.spec) running.hash = action.spec->pod.hash;
  const bool posted =
      lanes_.post(Lane::Work, [action, cancel = running.cancel, &runtime = runtime_,
                               &images = images_, &box = mailbox_, resizer = resizer_] {
        ActionResult result = carry_out(action, runtime, images, cancel, resizer);
        box.post([&](Mail& mail) { mail.acted.push_back(std::move(result)); });
      });
  if (posted) actions_.emplace(action.workload, std::move(running));
  return posted;
}

void Dispatcher::cancel_starts_unless(const std::map<std::string, SpecPtr>& wanted) {
  for (auto& [workload, running] : actions_) {
    const auto spec = wanted.find(workload);
    const bool still = spec != wanted.end() && spec->second->pod.hash == running.hash;
    if (running.start && !still) running.cancel.cancel();
  }
}

bool Dispatcher::pull(const std::string& reference,
                      const std::vector<runtime::RegistryCredential>& credentials) {
  CancelToken cancel;
  const bool posted =
      lanes_.post(Lane::Pull, [reference, credentials, cancel, &images = images_, &box = mailbox_] {
        PullGain gain;
        auto image = [&]() -> Result<runtime::Image> {
          if (cancel.cancelled()) return fail(Code::Cancelled, "no longer wanted");
          if (Status point = failpoint("reconcile.before-pull"); !point) return fail(point.error());
          const auto note = [&](const runtime::PullProgress& now) {
            gain.note(now.done_bytes);
            box.post_progress(reference, now);
          };
          return images.pull({reference, credentials, note}, cancel);
        }();
        box.post([&](Mail& mail) {
          mail.pulled.push_back({reference, std::move(image), gain.worth_it()});
        });
      });
  if (posted) pulls_.emplace(reference, cancel);
  return posted;
}

void Dispatcher::cancel_pull(const std::string& reference) {
  const auto found = pulls_.find(reference);
  if (found != pulls_.end()) found->second.cancel();
}

bool Dispatcher::look(uint64_t begun) {
  return lanes_.post(Lane::Look, [begun, &runtime = runtime_, &box = mailbox_] {
    auto pods = runtime.observe();
    box.post([&](Mail& mail) { mail.looked.push_back({begun, std::move(pods)}); });
  });
}

bool Dispatcher::list_images() {
  return lanes_.post(Lane::Look, [&images = images_, &box = mailbox_] {
    auto list = images.list();
    box.post([&](Mail& mail) { mail.images = std::move(list); });
  });
}

bool Dispatcher::gauge(runtime::Gauges& gauges, int64_t disk_reserve, bool limits) {
  // Not where Pods are looked at: measuring may have to walk many files.
  return lanes_.post(Lane::Tidy, [&gauges, disk_reserve, limits, &box = mailbox_] {
    GaugeResult result;
    result.limits = limits;
    result.pressure = find_pressure(gauges.device(), disk_reserve);
    if (limits || result.pressure.of != Shortage::None) {
      auto usage = gauges.pods(limits || result.pressure.of == Shortage::Disk);
      if (usage) result.usage = std::move(*usage);
    }
    box.post([&](Mail& mail) { mail.gauged = std::move(result); });
  });
}

bool Dispatcher::look_for_devices(runtime::Devices& devices) {
  return lanes_.post(Lane::Look, [&devices, &box = mailbox_] {
    auto inventory = devices.inventory();
    box.post([&](Mail& mail) { mail.devices = std::move(inventory); });
  });
}

bool Dispatcher::prune(runtime::PruneRequest request) {
  return lanes_.post(Lane::Tidy, [request = std::move(request), cancel = pruning_,
                                  &images = images_, &box = mailbox_] {
    auto report = images.prune(request, cancel);
    box.post([&](Mail& mail) { mail.pruned = std::move(report); });
  });
}

bool Dispatcher::collect(std::vector<std::string> pods) {
  return lanes_.post(Lane::Look, [pods = std::move(pods), &runtime = runtime_, &box = mailbox_] {
    Status collected = failpoint("reconcile.before-collect");
    if (collected) collected = runtime.collect_leftovers(pods);
    box.post([&](Mail& mail) { mail.collected = std::move(collected); });
  });
}

bool Dispatcher::drop_abandoned(std::vector<std::string> wanted) {
  return lanes_.post(Lane::Drop, [wanted = std::move(wanted), &images = images_, &box = mailbox_] {
    Status dropped = images.drop_abandoned(wanted);
    box.post([&](Mail& mail) { mail.dropped = std::move(dropped); });
  });
}

void Dispatcher::tick(MonoTime now) {
  for (auto& [workload, running] : actions_) {
    if (now - running.begun >= limits_.deadline) running.cancel.cancel();
  }
}

std::optional<MonoTime> Dispatcher::wake_at(MonoTime now) const {
  std::optional<MonoTime> wake;
  for (const auto& [workload, running] : actions_) {
    for (const Duration after : {limits_.slow, limits_.deadline}) {
      const MonoTime at = running.begun + after;
      if (at > now && (!wake || at < *wake)) wake = at;
    }
  }
  return wake;
}

void Dispatcher::cancel_all() {
  pruning_.cancel();
  for (auto& [workload, running] : actions_) running.cancel.cancel();
  for (auto& [reference, cancel] : pulls_) cancel.cancel();
}

}  // namespace wherry
