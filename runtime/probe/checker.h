#pragma once
// Carries out checks, many at once: sockets on the caller's thread, all else on a few of its own.

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/fd.h"
#include "runtime/probe/connection.h"
#include "runtime/runtime.h"

namespace wherry::runtime {

// Which programs wait for one another where too many run at once.
enum class Lane { Probe, PostStart, PreStop };

struct Check {
  std::string container_id;
  Handler handler;
  std::string address;  // where the handler names no host
  Duration timeout{};
  Lane lane = Lane::Probe;
};
// Cancelled: it could not be made, which says nothing about the container.
using CheckDone = std::function<void(const Status&)>;

// For one thread, but for wake().
class Checker {
 public:
  Checker(Execs& execs, const Clock& clock);
  ~Checker();  // what is under way is cancelled and not answered
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // `done` is called once, from within run() or a later wait(), soon after the timeout at the
  // latest.
  void run(const Check& check, CheckDone done);
  // Until something has come of a check, somebody called wake(), or `until`.
  void wait(std::optional<MonoTime> until);
  void wake();  // from any thread

 private:
  struct Running {
    Check check;
    CheckDone done;
    MonoTime deadline;
    std::unique_ptr<Connection> connection;
    bool writing = false;  // what is asked of epoll
  };
  struct Answer {
    uint64_t id;
    Status status;
    std::string address;  // of a name that was looked up
  };

  void run_program(uint64_t id, const Check& check);
  void look_up(uint64_t id, const std::string& host);
  void connect(uint64_t id, const std::string& address);
  void go_on(uint64_t id);
  void finish(uint64_t id, const Status& status);
  void take_answers();
  void expire();
  void answer(Answer answer);

  Execs& execs_;
  const Clock& clock_;
  Fd epoll_, wake_;
  uint64_t next_ = 1;
  std::map<uint64_t, Running> running_;
  std::map<std::pair<MonoTime, uint64_t>, bool> deadlines_;
  CancelToken stop_;
  std::mutex mutex_;
  std::vector<Answer> answers_;
  Executor programs_, starts_, stops_, names_;  // last: their threads use what is above
};

}  // namespace wherry::runtime
