#pragma once
// Follows the logs of those workloads whose lines go upstream. One thread, while there are any.

#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "agent/forward/container_forward.h"
#include "base/clock.h"
#include "runtime/log/log_watch.h"

namespace wherry {

struct LogForwarderOptions {
  std::string log_dir;  // with a directory for each Pod
  // What goes up where no document ever said so: as the configuration has it.
  LogForward otherwise = LogForward::None;
  ForwardLimits limits{};
  // Lines wait for others this long, doubled while more keep coming: each delivery is a synced
  // write, and they are on disk already.
  Duration first_wait = std::chrono::seconds(1);
  Duration longest_wait = std::chrono::seconds(30);
  Duration try_again = std::chrono::seconds(5);  // after a write that failed
};

// Thread-safe.
class LogForwarder {
 public:
  using Modes = std::map<std::string, std::optional<LogForward>>;  // by the Pod's name

  // References must outlive it.
  LogForwarder(LogForwarderOptions options, telemetry::Telemetry& telemetry, const Clock& clock);
  ~LogForwarder();
  LogForwarder(const LogForwarder&) = delete;
  LogForwarder& operator=(const LogForwarder&) = delete;

  // Every workload of the device and what goes up of it; nothing for one that leaves, of which goes
  // up what did before, also in an earlier life of the agent. `complete`: there are no others, so
  // that queues of others which are empty can be forgotten.
  void set(const Modes& modes, bool complete);
  // Once there is a directory for a Pod's logs, and nothing in it: what goes up of them is noted
  // there, as the document that says so may be gone before the last line is.
  void prepared(const std::string& pod);
  // Before a Pod's logs are removed: returns once their last lines are in the queue, and also after
  // a few seconds and where the queue takes none, as a Pod's end does not wait for that. Cancelled:
  // the agent is stopping, and they are to stay.
  Status drain(const std::string& pod);
  void stop();

 private:
  struct Pod {
    LogForward mode = LogForward::None;
    bool followed = false;
    bool look = true;               // for logs of further containers
    std::optional<MonoTime> due{};  // when to hand on what there is
    bool at_once = false;           // reads on at once: a rotation, or more than a turn's worth
    Duration wait{};                // for other lines
    MonoTime last{};                // when lines were handed on
    std::map<std::string, ContainerForward> containers{};
  };
  struct Drain {
    std::string pod;
    LogForward mode = LogForward::None;
    std::shared_ptr<std::promise<bool>> done;  // false: not all are in the queue
  };

  LogForward noted(const std::string& pod) const;
  bool note_mode(const std::string& pod, LogForward mode) const;
  bool begin();  // the caller holds the mutex
  void run();
  bool take_orders();
  void apply(const std::map<std::string, LogForward>& modes);
  void forget_others(const std::map<std::string, LogForward>& modes);
  bool drain_now(const Drain& drain);
  bool forward_due();
  bool forward(const std::string& name, Pod& pod, bool settle, bool& failed);
  void find_containers(const std::string& name, Pod& pod);
  void follow(const std::string& name, Pod& pod);
  void schedule(const std::string& name, Pod& pod);
  void note(const runtime::LogWatch::Seen& seen);
  std::optional<Duration> until_due() const;

  const LogForwarderOptions options_;
  telemetry::Telemetry& telemetry_;
  const Clock& clock_;

  std::mutex noting_;  // taken first; so that the note of a Pod is its newest mode

  std::mutex mutex_;
  std::unique_ptr<runtime::LogWatch> watch_;  // once made, to stay; waited on by the thread
  Modes said_;                                // last, and noted as far as there are logs
  std::map<std::string, LogForward> modes_;
  bool changed_ = false, complete_ = false;
  std::deque<Drain> drains_;
  bool running_ = false, stopping_ = false;
  std::thread thread_;

  std::map<std::string, Pod> pods_;  // the thread's own
};

}  // namespace wherry
