#pragma once
// The durable queues of what goes upstream: one for each stream, all in one SQLite file. A record
// is on the disk, synced, before append() returns, and leaves it only by acknowledge(), or by a cap
// that is full, and then counted. Why it is built so: docs/decisions/0018-outbox.md.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "telemetry/outbox/lines.h"

namespace wherry::telemetry {

// In the order of their importance: the first go first.
enum class Kind : uint8_t { Events, Data, Logs, Telemetry };
inline constexpr size_t kKinds = 4;
// By the first part of a stream's name: "events", "data/web/temperature", "logs/web/nginx",
// "telemetry". Nothing for another.
std::optional<Kind> kind_of(std::string_view stream);

struct OutboxOptions {
  std::string path;              // …/outbox.db; directories are made (0700), the file is 0600
  int64_t max_bytes = 64 << 20;  // of records, all queues together; the file takes a tenth more
  int64_t max_log_bytes = INT64_MAX;  // of these, of logs; at least 128 KiB are kept
  size_t max_streams = 512;           // one more is refused
  Duration busy_timeout = std::chrono::seconds(2);
};

// The reason of append() for more bytes at once than a queue of that kind ever takes.
inline constexpr const char* kTooLarge = "TooLarge";

struct Appended {
  uint64_t first = 0;
  uint32_t count = 0;
};

// Numbers that have no record any more.
struct Dropped {
  uint64_t from = 0;
  uint64_t count = 0;
  std::string reason;  // QueueFull, Thinned, Damaged; NotKept or another of More::reason
  bool operator==(const Dropped&) const = default;
};

// Records without a hole between them.
struct Chunk {
  uint64_t first = 0;  // 0: there are none
  Lines lines;
  std::optional<Dropped> dropped = {};  // right before `first`
  std::string epoch = {};
  uint64_t next = 0;  // of the stream, at that moment
  uint64_t last() const { return first + lines.count - 1; }
};

struct StreamState {
  std::string name, epoch;
  uint64_t acked = 0, next = 1;
  uint64_t records = 0;  // on disk
  int64_t bytes = 0;     // … their bookkeeping included
  uint64_t dropped = 0;  // records, since the agent started
};

// Thread-safe. Appends that come while one is being synced are committed together.
class Outbox {
 public:
  struct Renewed {
    std::string set_aside;  // path of a damaged file that a new one replaces, or empty
    std::string damage;     // what was wrong with it
  };
  struct Opened {
    std::unique_ptr<Outbox> outbox;
    Renewed renewed;
  };
  // A damaged file is set aside and its records are lost to the receiver, who sees new epochs.
  // Where the file cannot be opened (the disk is full, say) there is an outbox all the same, which
  // is not ready(). The clock must outlive the outbox.
  static Opened open(const OutboxOptions& options, const Clock& clock);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Numbers the records and waits until they are synced: all of them or none. InvalidArgument for a
  // stream of no kind. ResourceExhausted: the disk is full, there are too many streams, or more
  // waits to be written than may (reason TooMuchWaiting, with a time to try again).
  // While it is not ready(), whatever is the reason for that.
  struct More {
    // Records that were given up before they could be kept. They take numbers, too, right before
    // these, and are announced as dropped, with the reason.
    uint64_t lost = 0;
    const char* reason = "NotKept";
    // How far the log has been read that these come from, in the caller's words: kept with them, or
    // not at all. It may be kept without any records.
    std::optional<std::string> cursor = {};
  };
  Result<Appended> append(const std::string& stream, Lines lines, const More& more);
  Result<Appended> append(const std::string& stream, Lines lines) {
    return append(stream, std::move(lines), More{});
  }
  std::string cursor(const std::string& stream) const;  // "" where none was kept

  // The records after number `after`, up to about `max_bytes` (one record at the least), none where
  // there are none yet. NotFound for a stream that never had one.
  Result<Chunk> read(const std::string& stream, uint64_t after, size_t max_bytes);

  struct Mark {
    std::string stream, epoch;  // nothing is done to a stream of another epoch
    uint64_t last = 0;
  };
  // The records up to `last` go. Not synced: after a power cut they may be sent again.
  Status acknowledge(const std::vector<Mark>& marks);
  // Records up to `last` have been sent and may arrive: they are not thinned any more.
  void note_sent(const std::string& stream, uint64_t last);

  std::vector<StreamState> streams() const;  // by importance, then by age
  // Forgets a stream that has nothing waiting. Should it come back, it has a new epoch.
  Status forget(const std::string& stream);

  // False while there is no file, or once it proved to be damaged: everything fails with trouble()
  // until renew().
  bool ready() const;
  Status trouble() const;  // DataLoss, or as of sqlite::open_file
  // Opens the file; one that is damaged is set aside, and all streams with it, and a new one begun.
  Result<Renewed> renew();
  // Grows with each append; wakes who waits for something to send.
  uint64_t appended() const;

 private:
  struct Impl;
  explicit Outbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wherry::telemetry
