#pragma once
// Orders about workloads: kept until they are carried out or taken back, and laid over what
// documents and controllers want.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/manifest/workload_spec.h"
#include "agent/reconcile/mailbox.h"
#include "agent/reconcile/memory.h"
#include "agent/reconcile/records.h"

namespace wherry {

struct OrderFacts {
  const std::vector<WorkloadSpec>& wanted;  // by documents and controllers
  const std::map<std::string, runtime::PodStatus>& observed;
  const std::map<std::string, WorkloadMemory>& memory;
  bool observing = false;     // `observed` is all there is
  bool wanted_known = false;  // no source is left to be read
  MonoTime now;
};

// Used by the reconciler's thread only.
class OrderDesk {
 public:
  // `records` may be null: then orders are forgotten with the agent.
  OrderDesk(OrderRecords* records, const Clock& clock) : records_(records), clock_(clock) {}

  Status load();  // call once, first
  void add(std::vector<OrderMail> mail);
  // Answers what was added, ends what is carried out, forgets what is about nothing any more. True
  // where apply() may give something else than before.
  bool update(const OrderFacts& facts);
  // A workload that is ordered down has Claim::Down. A restart is over when nothing is left of the
  // Pod. Where its order cannot be deleted then, the Pod that starts bears it in a label, by which
  // the next agent knows that it was carried out.
  std::vector<WorkloadSpec> apply(std::vector<WorkloadSpec> wanted) const;
  std::set<std::string> stopped() const;  // under a Stop
  std::optional<MonoTime> wake_at() const { return retry_at_; }
  std::vector<EventRecord> take_events() { return std::exchange(events_, {}); }
  // Nobody's order is taken any more.
  void refuse(const Error& error);

 private:
  struct Standing {
    OrderKind kind = OrderKind::Stop;
    std::string given_by;
    WallTime given_at{};
    bool over = false;  // but still in the store, which could not be written
  };
  Status take(const Order& order, const OrderFacts& facts);
  bool forget(const std::string& workload, MonoTime now);
  void note(const Order& order, const WorkloadSpec& spec);

  OrderRecords* const records_;
  const Clock& clock_;
  std::map<std::string, Standing> standing_;
  std::vector<OrderMail> mail_;
  std::optional<MonoTime> retry_at_;
  bool changed_ = false;
  std::vector<EventRecord> events_;
};

}  // namespace wherry
