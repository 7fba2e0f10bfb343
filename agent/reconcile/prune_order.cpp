#include "agent/reconcile/prune_order.h"

#include <condition_variable>
#include <memory>
#include <mutex>

namespace wherry {
namespace {

constexpr Duration kPatience = std::chrono::minutes(5);

// Outlives whoever waits for it: the answer may come too late.
struct Order {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<runtime::PruneReport>> answer;
  bool given_up = false;
};

}  // namespace

Result<runtime::PruneReport> prune_now(Mailbox& mailbox, const CancelToken& cancel) {
  const auto order = std::make_shared<Order>();
  const auto wake = cancel.on_cancel([order] {
    const std::lock_guard lock(order->mutex);
    order->given_up = true;
    order->changed.notify_all();
  });
  mailbox.post([&](Mail& mail) {
    mail.prunes.emplace_back([order](const Result<runtime::PruneReport>& report) {
      const std::lock_guard lock(order->mutex);
      order->answer = report;
      order->changed.notify_all();
    });
  });
  std::unique_lock lock(order->mutex);
  const bool ended = order->changed.wait_for(
      lock, kPatience, [&] { return order->answer.has_value() || order->given_up; });
  if (order->answer) return *order->answer;
  if (ended) return fail(Code::Cancelled, "cancelled");
  return fail(Code::DeadlineExceeded, "the images were not pruned in time; it may still be done");
}

}  // namespace wherry
