#include "agent/main/commands.h"

#include <utility>

#include "agent/reconcile/order_now.h"
#include "agent/reconcile/prune_order.h"

namespace wherry {

CommandCenter::CommandCenter(const Config& config, const Clock& clock, Store& store,
                             Mailbox& mailbox, CommandSubjects subjects,
                             const std::unique_ptr<FleetLink>& link)
    : commands_({subjects.board, clock, subjects.logs, subjects.images, subjects.execs,
                 [&mailbox](Order order, const CancelToken& cancel) {
                   return order_now(mailbox, std::move(order), cancel);
                 },
                 [&mailbox](const CancelToken& cancel) { return prune_now(mailbox, cancel); },
                 [&mailbox] { mailbox.post([](Mail& mail) { mail.images_changed = true; }); },
                 std::move(subjects.plan),
                 [&diagnosis = subjects.diagnosis](const CancelToken& cancel) {
                   return diagnosis.check(cancel);
                 },
                 [&diagnosis = subjects.diagnosis](const CancelToken& cancel) {
                   return diagnosis.bundle_answer(cancel);
                 }}),
      desk_({store, commands_, clock,
             [&link](CommandAnswer answer) { return link->answer(std::move(answer)); }},
            {config.security.allow,
             {config.security.require_signature, config.security.trusted_keys_dir}}) {}

void CommandCenter::listen(FleetHandlers& handlers) {
  handlers.on_command = [this](CommandMessage message) { desk_.receive(std::move(message)); };
  handlers.on_answered = [this](uint64_t ticket) { desk_.answered(ticket); };
}

}  // namespace wherry
