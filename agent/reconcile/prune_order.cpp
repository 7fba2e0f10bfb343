#include "agent/reconcile/prune_order.h"

#include "agent/reconcile/awaited.h"

namespace wherry {
namespace {

constexpr Duration kPatience = std::chrono::minutes(5);

using Awaiting = Awaited<Result<runtime::PruneReport>>;

}  // namespace

Result<runtime::PruneReport> prune_now(Mailbox& mailbox, const CancelToken& cancel) {
  const auto order = std::make_shared<Awaiting>();
  mailbox.post([&](Mail& mail) {
    mail.prunes.emplace_back(
        [order](const Result<runtime::PruneReport>& report) { order->give(report); });
  });
  switch (Awaiting::wait(order, kPatience, cancel)) {
    case Awaiting::End::Answered:
      return order->take();
    case Awaiting::End::Cancelled:
      return fail(Code::Cancelled, "cancelled");
    case Awaiting::End::TooLate:
      break;
  }
  return fail(Code::DeadlineExceeded, "the images were not pruned in time; it may still be done");
}

}  // namespace wherry
