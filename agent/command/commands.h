#pragma once
// Carries commands out, whoever gave them.

#include <functional>
#include <string>

#include "agent/command/command.h"
#include "agent/reconcile/document_requests.h"
#include "agent/reconcile/order.h"
#include "agent/reconcile/state_view.h"
#include "base/cancel.h"
#include "runtime/runtime.h"

namespace wherry {

inline constexpr size_t kMostLogBytes = 256u << 10;  // of the answer to `logs`

// References and functions must outlive it; all are called from several threads at once.
struct CommandParts {
  const StateBoard& board;
  const Clock& clock;
  runtime::Logs& logs;
  runtime::Images& images;
  runtime::Execs& execs;
  // As order_now() and prune_now().
  std::function<Status(Order, const CancelToken&)> order;
  std::function<Result<runtime::PruneReport>(const CancelToken&)> prune;
  std::function<void()> images_changed;  // after a pull
  // As forecast(), of what is so now. Empty: nothing can be planned.
  std::function<Result<Planned>(const PlanRequest&, const CancelToken&)> plan{};
  // What wherry check finds, and the support bundle, as results. May be empty: Unimplemented.
  std::function<Result<std::string>(const CancelToken&)> check{}, support_bundle{};
};

// Thread-safe.
class Commands {
 public:
  explicit Commands(CommandParts parts) : parts_(std::move(parts)) {}

  // Blocks until it is done; its result as JSON. `given_by` says to people who gave it. Errors:
  // NotFound, FailedPrecondition, DeadlineExceeded, Unimplemented …, and Cancelled where the agent
  // stops.
  Result<std::string> carry_out(const Command& command, const std::string& given_by,
                                const CancelToken& cancel) const;
  // May take long: minutes rather than milliseconds.
  static bool is_slow(CommandKind kind);

 private:
  std::string ping() const;
  Result<std::string> order(OrderKind kind, const Command& command, const std::string& given_by,
                            const CancelToken& cancel) const;
  Result<std::string> logs(const Command& command, const CancelToken& cancel) const;
  Result<std::string> exec(const Command& command, const CancelToken& cancel) const;
  Result<std::string> pull(const Command& command, const CancelToken& cancel) const;
  Result<std::string> prune(const CancelToken& cancel) const;
  Result<std::string> plan(const Command& command, const CancelToken& cancel) const;

  const CommandParts parts_;
};

}  // namespace wherry
