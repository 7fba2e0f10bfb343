#include "agent/reconcile/order_desk.h"

#include <algorithm>

#include "base/log.h"

namespace wherry {
namespace {

constexpr Duration kStoreAgain = std::chrono::seconds(10);

const WorkloadSpec* find(const std::vector<WorkloadSpec>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const WorkloadSpec& each) { return each.name() == name; });
  return found == all.end() ? nullptr : &*found;
}

bool is_of_job(const WorkloadSpec& spec) {
  return spec.owner.kind == OwnerKind::Job || spec.owner.kind == OwnerKind::CronJob;
}

// Nothing is left of the Pod, and nobody is at it.
bool is_gone(const std::string& name, const OrderFacts& facts) {
  if (!facts.observing || facts.observed.contains(name)) return false;
  const auto known = facts.memory.find(name);
  if (known == facts.memory.end()) return true;
  const WorkloadMemory& memory = known->second;
  return !memory.busy && !memory.kill_at && memory.prepared_hash.empty();
}

// "; Deployment/web has web-0, web-1" where the name is one of an object with Pods.
std::string pods_of(const std::string& name, const OrderFacts& facts) {
  std::string text;
  for (const WorkloadSpec& spec : facts.wanted) {
    if (spec.owner.name != name) continue;
    text +=
        text.empty() ? "; " + std::string(to_string(spec.owner.kind)) + "/" + name + " has " : ", ";
    text += spec.name();
  }
  return text;
}

// An earlier life of the agent carried the restart out, and could not delete its order.
bool is_made_by(const std::string& order, const std::string& name, const OrderFacts& facts) {
  const auto pod = facts.observed.find(name);
  return facts.observing && pod != facts.observed.end() &&
         pod_label(pod->second, kRestartLabel) == order;
}

}  // namespace

Status OrderDesk::load() {
  if (records_ == nullptr) return {};
  const auto orders = records_->orders();
  if (!orders) return fail(orders.error(), "read the orders about workloads");
  for (const OrderRecord& order : *orders) {
    const bool restart = order.kind == to_string(OrderKind::Restart);
    standing_[order.workload] = {restart ? OrderKind::Restart : OrderKind::Stop, order.given_by,
                                 order.ordered_at};
  }
  changed_ = !standing_.empty();
  return {};
}

void OrderDesk::add(std::vector<OrderMail> mail) {
  mail_.insert(mail_.end(), std::make_move_iterator(mail.begin()),
               std::make_move_iterator(mail.end()));
}

bool OrderDesk::update(const OrderFacts& facts) {
  for (const OrderMail& mail : std::exchange(mail_, {})) mail.answer(take(mail.order, facts));
  const bool retry = retry_at_ && *retry_at_ <= facts.now;
  if (retry) retry_at_.reset();
  for (auto order = standing_.begin(); order != standing_.end();) {
    const auto here = order++;
    const auto& [name, standing] = *here;
    const bool ended =
        standing.kind == OrderKind::Restart &&
        (is_gone(name, facts) || is_made_by(to_rfc3339(standing.given_at), name, facts));
    const bool pointless =
        facts.wanted_known && find(facts.wanted, name) == nullptr && is_gone(name, facts);
    if (standing.over ? retry : ended || pointless) forget(std::string(name), facts.now);
  }
  return std::exchange(changed_, false);
}

Status OrderDesk::take(const Order& order, const OrderFacts& facts) {
  const std::string& name = order.workload;
  const WorkloadSpec* spec = find(facts.wanted, name);
  if (spec == nullptr) {
    return fail(Code::NotFound,
                "there is no workload \"" + name + "\" on this device" + pods_of(name, facts));
  }
  if (is_of_job(*spec)) {
    return fail(Code::FailedPrecondition,
                "\"" + name + "\" is a Pod of Job/" + spec->owner.name +
                    ", which starts and ends its Pods itself; suspend or remove the Job");
  }
  if (order.kind == OrderKind::Start) {
    const auto standing = standing_.find(name);
    // A restart under way ends in a start by itself.
    if (standing == standing_.end() || standing->second.kind == OrderKind::Restart) return {};
    if (records_ != nullptr) {
      if (Status removed = records_->remove_order(name); !removed) return removed;
    }
    standing_.erase(standing);
  } else {
    const WallTime now = clock_.wall();
    if (records_ != nullptr) {
      const Status saved = records_->save_order({name, to_string(order.kind), order.given_by, now});
      if (!saved) return saved;
    }
    standing_[name] = {order.kind, order.given_by, now};
  }
  changed_ = true;
  note(order, *spec);
  return {};
}

// What was carried out must not be undone by a full disk: it goes on, and the store is told later.
bool OrderDesk::forget(const std::string& workload, MonoTime now) {
  Standing& standing = standing_[workload];
  changed_ = changed_ || !standing.over;
  const Status removed = records_ == nullptr ? Status() : records_->remove_order(workload);
  if (removed) return standing_.erase(workload) > 0;
  log_warn("an order that was carried out is not forgotten yet",
           {{"workload", workload}, {"error", removed.error().full()}});
  standing.over = true;
  retry_at_ = now + kStoreAgain;
  return false;
}

std::vector<WorkloadSpec> OrderDesk::apply(std::vector<WorkloadSpec> wanted) const {
  if (standing_.empty()) return wanted;
  for (WorkloadSpec& spec : wanted) {
    const auto found = standing_.find(spec.name());
    if (found == standing_.end() || is_of_job(spec)) continue;
    const Standing& standing = found->second;
    if (standing.over) {
      spec.pod.labels[kRestartLabel] = to_rfc3339(standing.given_at);
      continue;
    }
    const bool restart = standing.kind == OrderKind::Restart;
    spec.claim = Claim::Down;
    spec.claim_reason = restart ? kRestartingReason : kStoppedReason;
    spec.claim_message =
        restart ? "restarted " + standing.given_by
                : "stopped " + standing.given_by + "; wherry start " + spec.name() + " starts it";
  }
  return wanted;
}

std::set<std::string> OrderDesk::stopped() const {
  std::set<std::string> names;
  for (const auto& [name, standing] : standing_) {
    if (standing.kind == OrderKind::Stop && !standing.over) names.insert(name);
  }
  return names;
}

void OrderDesk::note(const Order& order, const WorkloadSpec& spec) {
  EventRecord event;
  event.workload = order.workload;
  event.type = "Normal";
  event.revision = spec.revision;
  switch (order.kind) {
    case OrderKind::Restart:
      event.reason = kRestartingReason;
      event.message = "restarted " + order.given_by;
      break;
    case OrderKind::Stop:
      event.reason = kStoppedReason;
      event.message = "stopped " + order.given_by;
      break;
    case OrderKind::Start:
      event.reason = "StartedByOperator";
      event.message = "started " + order.given_by;
      break;
  }
  events_.push_back(std::move(event));
}

void OrderDesk::refuse(const Error& error) {
  for (const OrderMail& mail : std::exchange(mail_, {})) mail.answer(fail(error));
}

}  // namespace wherry
