#pragma once
// Container logs that outlive the agent. containerd's shim starts our small static program
// wherry-logger for each container (task stdio "binary://…", containerd runtime v2 logging), which
// writes <log_dir>/<pod>/<container>.log with stream and time per line, capped and rotated.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

struct LogOptions {
  std::string log_dir;      // /var/lib/wherry/logs
  std::string logger_path;  // the wherry-logger program, absolute
  int64_t max_bytes = 0;    // per container, all its files together; at least 128 KiB are kept
  // Called with a Pod's directory made, before its containers are.
  std::function<void(const std::string& pod)> prepared{};
  // Called before it is removed; an error is remove()'s, and the logs stay.
  std::function<Status(const std::string& pod)> before_removal{};
  // Either may be empty, and takes seconds at the most.
};

// Thread-safe: it holds no state but its options.
class ContainerLogs final : public Logs {
 public:
  explicit ContainerLogs(LogOptions options);

  // The URI to give to containerd as stdout and stderr of the task.
  std::string stdio_uri(const std::string& pod, const std::string& container) const;
  Status prepare(const std::string& pod);  // the directory
  // Missing: success. Killed on the way, it leaves all or nothing for who reads.
  Status remove(const std::string& pod);
  Result<std::vector<std::string>> list();  // Pods that have logs

  // Lines without stream; with `timestamps` each begins with its RFC 3339 time and a space. The
  // sink gets whole lines, often many at once. `tail` counts lines of all containers together.
  // Following ends by itself when the Pod's logs are removed.
  Status read(const LogQuery& query, const LineSink& sink, CancelToken cancel) override;

 private:
  LogOptions options_;
};

}  // namespace wherry::runtime
