#include "agent/reconcile/order_now.h"

#include "agent/reconcile/awaited.h"

namespace wherry {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);

}  // namespace

Status order_now(Mailbox& mailbox, Order order, const CancelToken& cancel) {
  using Awaiting = Awaited<Status>;
  const auto awaited = std::make_shared<Awaiting>();
  mailbox.post([&](Mail& mail) {
    mail.orders.push_back(
        {std::move(order), [awaited](const Status& status) { awaited->give(status); }});
  });
  switch (Awaiting::wait(awaited, kPatience, cancel)) {
    case Awaiting::End::Answered:
      return awaited->take();
    case Awaiting::End::Cancelled:
      return fail(Code::Cancelled, "the agent is stopping; the order may still be carried out");
    case Awaiting::End::TooLate:
      break;
  }
  return fail(Code::DeadlineExceeded,
              "the order was not taken in time; it may still be carried out");
}

}  // namespace wherry
