#pragma once
// Programs run inside containers that run, by containerd's tasks service. What they print comes
// through two pipes in the run directory.

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "runtime/containerd/client.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

// In one sentence why `program` was not started, from what containerd passed on of the OCI runtime.
std::string why_not_started(const std::string& program, const std::string& said);

class ContainerExec final : public Execs {
 public:
  ContainerExec(Client& client, std::string run_dir)
      : client_(client), directory_(std::move(run_dir) + "/exec") {}

  Result<ExecResult> exec(const ExecRequest& request, CancelToken cancel) override;

  // For what a killed agent left running. A shim that opens a pipe nobody reads answers nothing
  // about its container, for half a minute: before the first look they get a reader …
  void hold_left();
  // … and once containerd answers, the programs are ended. What cannot be yet is tried again with
  // the next call.
  void end_left();

 private:
  struct Left {
    std::string container, id;
    std::vector<Fd> readers;
  };
  Status end(const Left& left);
  Result<std::string> process_of(const ExecRequest& request);

  Client& client_;
  const std::string directory_;
  std::mutex mutex_;
  std::vector<Left> left_;
  // By container, whose specification never changes: a probe asks again and again.
  std::map<std::string, std::string> specs_;
};

}  // namespace wherry::runtime
