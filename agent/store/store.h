#pragma once
// What must survive: the last accepted documents, the history of each workload, the event log.
// One SQLite database, WAL, held exclusively. Thread-safe: one call at a time has the connection,
// so a reader may wait for a writer's sync. Nothing is written when nothing changed.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace wherry {

struct StoredDocument {
  std::string source;  // "devices/<id>", "groups/<g>", "local"
  uint64_t revision = 0;
  std::string digest;
  std::string payload;
  WallTime accepted_at{};
};

// What is remembered of a container between restarts of the agent.
struct ContainerHistory {
  std::string workload;
  std::string container;
  std::string spec_hash;  // history is void for another one
  uint32_t restarts = 0;
  std::optional<int32_t> last_exit_code;
  std::string last_reason;
  WallTime last_started_at{};
  WallTime last_finished_at{};
};

// The last time a workload began or ceased to use an image.
struct ImageUse {
  std::string workload;  // empty: no workload did, it came onto the device
  std::string digest;
  std::string name;
  std::string spec_hash;  // of the version that used it
  uint64_t order = 0;     // grows with each use: the wall clock may be wrong
  WallTime used_at{};
  bool operator==(const ImageUse&) const = default;
};

// One run of a Job: what was counted so far. Its Pods are known by `run`.
struct JobRecord {
  std::string name;
  std::string cron_job;  // that started it; empty: it is a Job of a document
  std::string source;
  std::string run;            // random
  std::string template_hash;  // of the Job it runs; another one is another run
  WallTime scheduled_at{};    // of a CronJob's
  std::string phase;          // "" (active), Complete, Failed
  std::string reason, message;
  WallTime started_at{}, finished_at{};
  std::string succeeded;  // completion indexes, as "0-4,7"
  std::string attempts;   // failed attempts of each index that has some, as "3:2,5:1"
  uint32_t failed = 0;
  // For how long it had been active (or finished) at a moment of the boot's monotonic clock, in ns.
  std::string boot;
  int64_t clock = 0;
  int64_t lasted = 0;
  bool suspended = false;
  bool operator==(const JobRecord&) const = default;
};

// What a CronJob has started, so that no time is ever taken twice.
struct CronRecord {
  std::string name;
  std::string source;
  std::string schedule;  // with its time zone: another one begins anew
  // Stretches of time that have been seen to, the present one last: "from-to,from-to", in ns.
  std::string seen;
  WallTime started{};  // the time of the last Job started; 0: none
  bool operator==(const CronRecord&) const = default;
};

struct ControllerChanges {
  std::vector<JobRecord> jobs;
  std::vector<CronRecord> cron_jobs;
  std::vector<std::string> gone_jobs, gone_cron_jobs;
  bool empty() const {
    return jobs.empty() && cron_jobs.empty() && gone_jobs.empty() && gone_cron_jobs.empty();
  }
};

struct EventRecord {
  int64_t number = 0;  // given by the store, growing
  WallTime at{};
  std::string workload;   // or empty
  std::string container;  // or empty
  std::string type;       // "Normal" or "Warning"
  std::string reason;     // CamelCase word
  std::string message;
  uint64_t revision = 0;
};

// A command that was taken over MQTT.
struct CommandRecord {
  int64_t number = 0;   // given by the store, growing
  std::string source;   // where it came from
  std::string request;  // its identity
  WallTime received_at{};
  std::string asked_on;                     // the source of the last that asked for its answer
  std::string response_topic, correlation;  // where its answer goes; "": the device's own topic
  std::string answer;                       // empty: none yet
  bool delivered = false;                   // a broker has acknowledged the answer
  bool operator==(const CommandRecord&) const = default;
};

// What a person ordered about a workload, against what its document says.
struct OrderRecord {
  std::string workload;
  std::string kind;      // "stop", "restart"
  std::string given_by;  // for people
  WallTime ordered_at{};
  bool operator==(const OrderRecord&) const = default;
};

// A wanted version that differs from the one a Pod was made of in nothing but how its images are
// written: the Pod stays.
struct SameImages {
  std::string workload;
  std::string wanted_hash, pod_hash;  // see spec_hash()
  bool operator==(const SameImages&) const = default;
};

struct StoreOptions {
  std::string path;                 // …/wherry.db; directories are made (0700), the file is 0600
  int64_t max_event_rows = 2000;    // oldest go first
  int64_t max_command_rows = 1000;  // … those that have their answer
  Duration busy_timeout = std::chrono::seconds(2);  // for a predecessor that is still closing
};

class Store {
 public:
  // Opens, migrates, checks. A damaged database is renamed to <path>.corrupt-<time> and replaced by
  // a new one with every document of it that is whole; the event log then begins with a
  // DatabaseDamaged warning, the histories are gone.
  // Errors: Unavailable where another process has the database open, FailedPrecondition where it is
  // another program's or a newer version's, ResourceExhausted, PermissionDenied.
  struct Opened {
    std::unique_ptr<Store> store;
    std::string set_aside;              // path of the damaged file, or empty
    std::string damage;                 // what was wrong with it
    std::vector<std::string> salvaged;  // sources of the documents that were saved
  };
  static Result<Opened> open(const StoreOptions& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // All of the following: ResourceExhausted when the disk is full (nothing has then changed; try
  // again later), DataLoss when the file was damaged while open (the next open() repairs it).

  // On disk and synced when it returns. Replaces the source's previous document, which stays as
  // superseded; its events are the same transaction. The same revision, digest and payload again is
  // no write.
  Status save_document(const StoredDocument& document, const std::vector<EventRecord>& events);
  // Newest of each source. One that was left has no payload.
  Result<std::vector<StoredDocument>> documents();
  // The source is left, and what it said goes, the superseded ones too. What stays is which
  // revision was accepted last, with the digest of its payload: whoever comes back to the source
  // knows what is old.
  Status leave_document(const std::string& source);
  // Oldest first. A damaged one has no payload; a repair keeps the newest whole one of each source.
  Result<std::vector<StoredDocument>> superseded_documents();
  // Not synced. One that is not there is none to forget.
  Status forget_superseded(const std::string& source, uint64_t revision);

  // These may be lost at a power cut, which is only a restart counter too low.
  Status save_history(const ContainerHistory& history);
  Result<std::vector<ContainerHistory>> history();
  Status remove_history(const std::string& workload);

  // Not synced. One a workload: a newer one replaces it. One that is not there is none to remove.
  Status save_same_images(const SameImages& same);
  Status remove_same_images(const std::string& workload);
  Result<std::vector<SameImages>> same_images();

  // One transaction, not synced. Replaces what is known of the same workload and digest; `gone`:
  // digests to be forgotten.
  Status save_image_uses(const std::vector<ImageUse>& uses, const std::vector<std::string>& gone);
  Result<std::vector<ImageUse>> image_uses();  // oldest first

  // On disk and synced when it returns, all of it or nothing. What exists already is replaced.
  Status save_controllers(const ControllerChanges& changes);
  Result<std::vector<JobRecord>> jobs();
  Result<std::vector<CronRecord>> cron_jobs();

  // --- commands. take_command() and answer_command(): on disk and synced when they return.
  // The number that it got. AlreadyExists where its request is known.
  Result<int64_t> take_command(const CommandRecord& command);
  Status answer_command(int64_t number, const std::string& answer);
  // These two may be lost at a power cut: then an answer is sent once more, or where it was asked
  // for first.
  Status readdress_command(const CommandRecord& command);  // asked_on, topic and correlation
  Status deliver_command(int64_t number);
  Result<std::optional<CommandRecord>> find_command(const std::string& request);
  // For the start: those without an answer get this one, and all but the newest `most` count as
  // delivered. Synced, and no write where there is nothing to change.
  Status interrupt_commands(const std::string& answer, size_t most);
  // The newest `most` whose answer no broker has acknowledged, oldest first.
  Result<std::vector<CommandRecord>> open_commands(size_t most);

  // On disk and synced when they return. One order a workload: a newer one replaces it.
  Status save_order(const OrderRecord& order);
  Status remove_order(const std::string& workload);
  Result<std::vector<OrderRecord>> orders();

  // May lose the last events at a power cut, never the order. Returns the number given (`number` of
  // `event` is not read); numbers grow, may skip, and are never given twice. A message is cut after
  // 2 KiB.
  Result<int64_t> append_event(const EventRecord& event);
  // No event has a higher number.
  int64_t last_event();
  // Those with number > after, oldest first, at most `limit`.
  Result<std::vector<EventRecord>> events(int64_t after, size_t limit);

 private:
  struct Impl;
  // `change` in a transaction that is synced when it returns.
  template <typename Change>
  Status synced(const std::string& context, Change change);
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wherry
