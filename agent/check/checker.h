#pragma once
// Looks at everything that this agent needs of its device, and changes nothing.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/check/finding.h"
#include "agent/config/config.h"
#include "agent/reconcile/state_view.h"
#include "base/cancel.h"
#include "base/result.h"
#include "runtime/network/network.h"

namespace wherry::check {

// What stays as long as the agent.
struct Subject {
  Config config;                  // as the agent goes by it
  std::string config_file;        // where it is from …
  std::vector<std::string> sets;  // … with these over it
  std::string helper_dir;         // of wherryd, wherry-logger and wherry-pause
  runtime::NetworkOptions network;
  // Why the wall clock is not to be relied on; "" where it is. Called from any thread.
  std::string (*clock_doubt)(WallTime now) = nullptr;
};

// What an agent that runs knows at this moment.
struct Knowledge {
  struct Accepted {
    std::string source;
    uint64_t revision = 0;
    WallTime at{};
  };
  std::shared_ptr<const StateView> state;  // not null
  Result<std::vector<Accepted>> documents;
  Status alive;  // as Reconciler::alive()
  Status tcp;    // as ApiServer::tcp_status()
};

// What a look is given.
struct Scene {
  std::shared_ptr<const Subject> subject;
  std::optional<Knowledge> knowledge;
  CancelToken cancel;

  const Config& config() const { return subject->config; }
};

// One look. It has a thread of its own and touches nothing but what it is given.
struct Probe {
  const char* name;
  Findings (*look)(const Scene& scene);
  const char* late_mend;  // what to do where it does not end
};
std::vector<Probe> all_probes();  // in the order in which findings are shown
// Those that tell of this device whatever its configuration says.
std::vector<Probe> bare_probes();

// Thread-safe.
class Checker {
 public:
  // All looks together; what has not ended by then is a finding itself.
  static constexpr Duration kWithin = std::chrono::seconds(10);

  explicit Checker(Subject subject, std::vector<Probe> probes = all_probes(),
                   Duration within = kWithin);
  ~Checker();
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // Blocks for `within` at most, and as long again where another run has its turn. Without
  // `knowledge` as far as can be told where no agent runs. Unavailable where its turn has not come
  // by then; Cancelled, also while it waits.
  Result<Findings> run(const std::optional<Knowledge>& knowledge, const CancelToken& cancel);
  // From now on the agent goes by this configuration.
  void use(const Config& config);
  // Cancels what runs. False where something hangs that cannot be cancelled (a name server, a disk
  // that is away): it hangs on in threads that touch nothing of ours.
  bool stop();

 private:
  struct Board;
  class Turn;
  using Results = std::vector<std::optional<Findings>>;  // under the board's mutex

  std::shared_ptr<const Subject> subject() const;
  std::shared_ptr<Results> begin(const Scene& scene);
  Findings gather(Results& results) const;

  std::shared_ptr<const Subject> subject_;  // under the board's mutex
  const std::vector<Probe> probes_;
  const Duration within_;
  const std::shared_ptr<Board> board_;
  CancelToken stopping_;
};

}  // namespace wherry::check
