#pragma once
// The running agent: every room made and wired to the others.

#include <memory>
#include <string>
#include <vector>

#include "agent/config/config.h"
#include "base/result.h"

namespace wherry {

class Agent {
 public:
  struct Options {
    Config config;
    std::string version;
    std::string helper_dir;  // where wherry-logger and wherry-pause are
    // Where the configuration is from, for wherry check.
    std::string config_file{};
    std::vector<std::string> sets{};
  };
  explicit Agent(Options options);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Opens the store, serves the local view, connects. Fails only where the agent cannot do its work
  // at all: another agent on the same state, no store, no API socket.
  Status start();
  // Re-reads local manifests and takes over what `fresh` can change while running.
  void reload(const Config& fresh);
  // Leaves the containers running. False when calls hang that cannot be cancelled: the process must
  // then end without destroying the agent. Call it before the destructor where start() succeeded.
  bool stop();
  // An error when the reconciler makes no progress any more.
  Status alive() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace wherry
