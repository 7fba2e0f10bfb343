#pragma once
// When it is looked which devices there are. Used by the reconciler's thread only.

#include <optional>

#include "agent/reconcile/dispatcher.h"
#include "agent/reconcile/ledger.h"

namespace wherry {

// Nobody looks while no workload asks for a device. While one waits it is looked every second, else
// as often as the device is measured anyway, to see what went.
class DeviceDesk {
 public:
  explicit DeviceDesk(runtime::Devices* devices) : devices_(devices) {}  // may be null
  void look(Dispatcher& dispatcher, Ledger& ledger, const Plan& plan, MonoTime now);
  void looked(runtime::DeviceInventory inventory, Ledger& ledger);
  // What resources stand for has changed.
  void look_again() { look_at_ = {}; }
  std::optional<MonoTime> wake_at() const;

 private:
  runtime::Devices* const devices_;
  bool busy_ = false;
  bool wanted_ = false;
  MonoTime look_at_{};
};

}  // namespace wherry
