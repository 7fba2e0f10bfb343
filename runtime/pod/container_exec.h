#pragma once
// Programs run inside containers that run, by containerd's tasks service. What they print comes
// through two pipes in the run directory.

#include <map>
#include <mutex>
#include <string>

#include "runtime/containerd/client.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

class ContainerExec final : public Execs {
 public:
  ContainerExec(Client& client, std::string run_dir)
      : client_(client), directory_(std::move(run_dir) + "/exec") {}

  Result<ExecResult> exec(const ExecRequest& request, CancelToken cancel) override;

 private:
  Result<std::string> process_of(const ExecRequest& request);

  Client& client_;
  const std::string directory_;
  std::once_flag tidied_;  // what an earlier life of the agent left in the directory
  std::mutex mutex_;
  // By container, whose specification never changes: a probe asks again and again.
  std::map<std::string, std::string> specs_;
};

}  // namespace wherry::runtime
