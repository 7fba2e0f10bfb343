#pragma once
// Commands, wired to what carries them out and to the link.

#include <functional>
#include <memory>

#include "agent/command/command_desk.h"
#include "agent/config/config.h"
#include "agent/main/diagnosis.h"
#include "agent/reconcile/mailbox.h"

namespace wherry {

// What commands look at and work on.
struct CommandSubjects {
  const StateBoard& board;
  runtime::Logs& logs;
  runtime::Images& images;
  runtime::Execs& execs;
  std::function<Result<Planned>(const PlanRequest&, const CancelToken&)> plan;
  Diagnosis& diagnosis;
};

// References must outlive it; `link` is read when there is something to send.
class CommandCenter {
 public:
  CommandCenter(const Config& config, const Clock& clock, Store& store, Mailbox& mailbox,
                CommandSubjects subjects, const std::unique_ptr<FleetLink>& link);

  const Commands& commands() const { return commands_; }
  void listen(FleetHandlers& handlers);
  void start() { desk_.start(); }
  // What is under way is cancelled; its answers are sent while the link stops.
  void stop() { desk_.stop(); }

 private:
  const Commands commands_;
  CommandDesk desk_;
};

}  // namespace wherry
