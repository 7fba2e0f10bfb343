#include "agent/reconcile/prune_desk.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/quantity.h"

namespace wherry {
namespace {

constexpr Duration kLookAgain = std::chrono::seconds(15);  // statvfs and little more

constexpr size_t kMostNames = 10;

}  // namespace

EventRecord images_removed(const runtime::PruneReport& report) {
  const size_t count = report.removed.size();
  EventRecord event;
  event.type = "Normal";
  event.reason = "ImagesRemoved";
  event.message = std::to_string(count) + (count == 1 ? " unused image" : " unused images") +
                  " removed, " + format_bytes(report.freed_bytes) + " freed: ";
  for (size_t i = 0; i < std::min(count, kMostNames); ++i) {
    event.message += (i == 0 ? "" : ", ") + report.removed[i].name;
  }
  if (count > kMostNames) event.message += " and " + std::to_string(count - kMostNames) + " more";
  return event;
}

void PruneDesk::order(std::vector<PruneAnswer> orders) {
  orders_.insert(orders_.end(), std::make_move_iterator(orders.begin()),
                 std::make_move_iterator(orders.end()));
}

std::optional<runtime::PruneRequest> PruneDesk::next(const std::vector<std::string>& waiting,
                                                     MonoTime now) {
  if (busy_) return std::nullopt;
  const bool again = !waiting.empty() && now >= again_at_;
  if (!due_ && !again && orders_.empty()) return std::nullopt;
  return runtime::PruneRequest{!orders_.empty(), waiting};
}

void PruneDesk::begun(MonoTime now) {
  busy_ = true;
  due_ = false;
  again_at_ = now + kLookAgain;
  under_way_ = std::exchange(orders_, {});
}

void PruneDesk::done(const Result<runtime::PruneReport>& report) {
  busy_ = false;
  for (const PruneAnswer& answer : std::exchange(under_way_, {})) answer(report);
}

void PruneDesk::refuse(const Error& error) {
  for (const PruneAnswer& answer : std::exchange(orders_, {})) answer(fail(error));
}

std::optional<MonoTime> PruneDesk::wake_at(bool waiting) const {
  return waiting && !busy_ ? std::optional(again_at_) : std::nullopt;
}

}  // namespace wherry
