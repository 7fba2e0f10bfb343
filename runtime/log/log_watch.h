#pragma once
// Waits until something happens in the logs of some Pods (inotify), whose directories may come and
// go meanwhile.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace wherry::runtime {

// Not thread-safe, but for wake().
class LogWatch {
 public:
  // Of the directory with a directory for each Pod, which is made where it is missing.
  static Result<std::unique_ptr<LogWatch>> make(const std::string& log_dir);
  LogWatch(const LogWatch&) = delete;
  LogWatch& operator=(const LogWatch&) = delete;

  // Watches a Pod's logs from now on, or changes what counts there. `writes`: every write does;
  // else only new names, which is what a rotation makes. NotFound: it has none yet, and wait()
  // tells when it has.
  Status follow(const std::string& pod, bool writes);
  void leave(const std::string& pod);

  struct Seen {
    std::set<std::string> appeared;  // directories of Pods; all may have, where `missed` is set
    std::set<std::string> written, renamed;
    std::set<std::string> gone;  // logs were removed; they are not followed any more
    bool missed = false;         // more happened than the kernel kept: look at everything
  };
  // Until something happens, `timeout` is over, or wake().
  Seen wait(std::optional<Duration> timeout);
  void wake();

 private:
  LogWatch(std::string log_dir, Fd inotify, Fd event, int all);
  void take_events(Seen& seen);

  const std::string log_dir_;
  const Fd inotify_, event_;
  const int all_;  // the watch of log_dir_ itself
  std::map<std::string, int> watches_;
  std::map<int, std::string> pods_;
};

}  // namespace wherry::runtime
