#include "agent/reconcile/rehearsal.h"

#include "agent/manifest/merged_document.h"
#include "agent/reconcile/awaited.h"

namespace wherry {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);

template <typename Answer>
Answer wait_for(const std::shared_ptr<Awaited<Answer>>& awaited, const CancelToken& cancel,
                const std::string& too_late) {
  using Awaiting = Awaited<Answer>;
  switch (Awaiting::wait(awaited, kPatience, cancel)) {
    case Awaiting::End::Answered:
      return awaited->take();
    case Awaiting::End::Cancelled:
      return fail(Code::Cancelled, "cancelled");
    case Awaiting::End::TooLate:
      break;
  }
  return fail(Code::DeadlineExceeded, too_late);
}

}  // namespace

Result<std::shared_ptr<const Rehearsal>> rehearse(Mailbox& mailbox, const CancelToken& cancel) {
  using Answer = Result<std::shared_ptr<const Rehearsal>>;
  const auto awaited = std::make_shared<Awaited<Answer>>();
  mailbox.post([&](Mail& mail) {
    mail.rehearsals.emplace_back([awaited](const Answer& answer) { awaited->give(answer); });
  });
  return wait_for(awaited, cancel, "the agent did not answer in time; try again");
}

Result<Applied> apply_now(Mailbox& mailbox, ApplyRequest request, const CancelToken& cancel) {
  const auto awaited = std::make_shared<Awaited<Result<Applied>>>();
  mailbox.post([&](Mail& mail) {
    mail.applies.push_back({std::move(request),
                            [awaited](const Result<Applied>& applied) { awaited->give(applied); }});
  });
  return wait_for(awaited, cancel,
                  "the document was not taken in time; it may still come to be accepted");
}

Result<std::string> merged_now(Mailbox& mailbox, const CancelToken& cancel) {
  const auto all = rehearse(mailbox, cancel);
  if (!all) return fail(all.error());
  return merged_document((*all)->desk.sources());
}

}  // namespace wherry
