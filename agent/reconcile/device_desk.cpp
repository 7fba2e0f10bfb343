#include "agent/reconcile/device_desk.h"

#include <algorithm>

#include "agent/reconcile/device_need.h"
#include "base/log.h"

namespace wherry {
namespace {

constexpr Duration kSoon = std::chrono::seconds(1);

}  // namespace

void DeviceDesk::look(Dispatcher& dispatcher, Ledger& ledger, const Plan& plan, MonoTime now) {
  const auto& desired = ledger.desired();
  wanted_ = devices_ != nullptr &&
            std::any_of(desired.begin(), desired.end(),
                        [](const auto& each) { return wants_devices(each.second->pod); });
  if (!wanted_ || busy_) return;
  if (ledger.take_devices_doubt()) look_at_ = {};
  const bool waits =
      std::any_of(plan.workloads.begin(), plan.workloads.end(),
                  [](const auto& each) { return is_about_devices(each.second.reason); });
  if (waits && look_at_ > now + kSoon) look_at_ = now + kSoon;
  if (now < look_at_) return;
  look_at_ = now + (waits ? kSoon : kGaugeInterval);
  busy_ = dispatcher.look_for_devices(*devices_);
}

void DeviceDesk::looked(runtime::DeviceInventory inventory, Ledger& ledger) {
  busy_ = false;
  const auto before = ledger.devices();
  for (const std::string& error : inventory.cdi_errors) {
    const auto& known = before ? before->cdi_errors : std::vector<std::string>();
    if (std::find(known.begin(), known.end(), error) != known.end()) continue;
    EventRecord event;
    event.type = "Warning";
    event.reason = "InvalidCDISpec";
    event.message = error;
    log_warn("a CDI specification is not used", {{"error", error}});
    ledger.note(std::move(event));
  }
  ledger.set_devices(std::move(inventory));
}

std::optional<MonoTime> DeviceDesk::wake_at() const {
  if (!wanted_ || busy_) return {};
  return look_at_;
}

}  // namespace wherry
