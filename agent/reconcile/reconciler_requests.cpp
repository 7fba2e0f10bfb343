// What the reconciler is asked about documents by those at the device.

#include <memory>
#include <utility>

#include "agent/reconcile/reconciler.h"

namespace wherry {

void Reconciler::read_requests(Mail& mail) {
  for (const ApplyMail& apply : mail.applies) {
    const auto applied = desk_.apply(apply.request);
    desired_changed_ = desired_changed_ || (applied && applied->changed);
    apply.answer(applied);
  }
  for (RehearsalAnswer& answer : mail.rehearsals) rehearsals_.push_back(std::move(answer));
}

// After what the mail changed is known to all parts.
void Reconciler::answer_rehearsals() {
  if (rehearsals_.empty()) return;
  const auto copy = std::make_shared<const Rehearsal>(
      Rehearsal{desk_, controllers_.rehearsal(), orders_, ledger_, parts_.clock.now(),
                parts_.clock.wall(), may_act() && first_pass_done_});
  for (const RehearsalAnswer& answer : std::exchange(rehearsals_, {})) answer({copy});
}

}  // namespace wherry
