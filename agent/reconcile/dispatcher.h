#pragma once
// Hands actions to the lanes: one at a time for a workload, a few at once, results by mail.

#include <map>
#include <optional>
#include <string>

#include "agent/reconcile/lanes.h"
#include "agent/reconcile/mailbox.h"
#include "base/cancel.h"

namespace wherry {

// Used by the reconciler's thread only.
// Threads of the lane, made when they are needed. How many download at a time is
// images.max_parallel_downloads; they take turns, so that none waits for another's end.
inline constexpr size_t kPullsAtOnce = 32;

class Dispatcher {
 public:
  struct Limits {
    size_t parallel = 4;                          // actions at once, those that hang left out
    size_t threads = 16;                          // … and those included
    Duration slow = std::chrono::seconds(10);     // from here on an action counts as hanging
    Duration deadline = std::chrono::minutes(3);  // then it is cancelled, where it can be
  };

  // `resizer` may be null.
  Dispatcher(runtime::Runtime& runtime, runtime::Images& images, Lanes& lanes, Mailbox& mailbox,
             Limits limits, runtime::Resizer* resizer = nullptr);
  ~Dispatcher();  // cancels everything
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // False when there is no room now: plan again when something has ended, or at wake_at().
  bool act(const Action& action, MonoTime now);
  void acted(const std::string& workload) { actions_.erase(workload); }
  // A start whose spec is no longer wanted is not worth finishing.
  void cancel_starts_unless(const std::map<std::string, SpecPtr>& wanted);

  bool pull(const std::string& reference,
            const std::vector<runtime::RegistryCredential>& credentials = {});
  void cancel_pull(const std::string& reference);
  void pulled(const std::string& reference) { pulls_.erase(reference); }

  bool look(uint64_t begun);
  bool list_images();
  bool gauge(runtime::Gauges& gauges, int64_t disk_reserve, bool limits);
  bool look_for_devices(runtime::Devices& devices);
  bool prune(runtime::PruneRequest request);
  bool collect(std::vector<std::string> pods);
  bool drop_abandoned(std::vector<std::string> wanted);

  // Cancels what is past its deadline.
  void tick(MonoTime now);
  // When tick() or act() may have something new to say.
  std::optional<MonoTime> wake_at(MonoTime now) const;
  void cancel_all();

 private:
  struct Running {
    CancelToken cancel;
    MonoTime begun;
    bool start = false;
    std::string hash;
  };

  runtime::Runtime& runtime_;
  runtime::Images& images_;
  Lanes& lanes_;
  Mailbox& mailbox_;
  const Limits limits_;
  runtime::Resizer* const resizer_;
  std::map<std::string, Running> actions_;    // by workload
  std::map<std::string, CancelToken> pulls_;  // by reference
  CancelToken pruning_;
};

}  // namespace wherry
