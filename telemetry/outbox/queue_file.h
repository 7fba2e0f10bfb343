#pragma once
// The queues' SQLite file, statement by statement. Not thread-safe: the outbox takes turns.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/sqlite/database_file.h"
#include "telemetry/outbox/lines.h"

namespace wherry::telemetry {

struct StreamRow {
  int64_t id = 0;
  std::string name, epoch;
  uint64_t acked = 0, next = 1;
  std::string cursor{};
};

struct Block {
  uint64_t first = 0, last = 0;
  std::string lines;
  bool whole = true;  // its checksum fits
};

// What a block takes on disk beside its lines, about.
inline constexpr int64_t kBlockOverhead = 32;

// No stream has more records than this in its life: one a microsecond for 278 years.
inline constexpr uint64_t kLastNumber = (uint64_t{1} << 43) - 1;

// The highest id of a stream.
inline constexpr int64_t kLastStream = (int64_t{1} << 20) - 2;

class QueueFile {
 public:
  static Result<QueueFile> open(const std::string& path, Duration busy_timeout);

  // DataLoss where a row is damaged: its numbers cannot be trusted.
  Result<std::vector<StreamRow>> streams();
  Status add(const StreamRow& stream);
  Status remove(int64_t stream);
  Status mark(const StreamRow& stream);  // acked, next and cursor

  struct Measure {
    uint64_t records = 0, last = 0;  // last: the highest number, 0 where there is no record
    int64_t bytes = 0;
  };
  Result<Measure> measure(int64_t stream, uint64_t after, uint64_t last);

  Status put(int64_t stream, uint64_t first, const Lines& lines);
  // Blocks that end behind `after`, oldest first, until `take` returns false.
  Status read(int64_t stream, uint64_t after, const std::function<bool(Block)>& take);
  // The same without their lines: the size is given.
  struct Extent {
    uint64_t first = 0, last = 0;
    int64_t bytes = 0;
  };
  Status extents(int64_t stream, const std::function<bool(const Extent&)>& take);
  // Blocks that end in (after, last].
  Status remove_blocks(int64_t stream, uint64_t after, uint64_t last);

  // `last`: the last of the numbers that have no record. Those that ended in (after, last] are
  // part of it.
  Status put_gap(int64_t stream, uint64_t after, uint64_t last, const std::string& reason);
  // Of the newest gap that ends in (after, before); "" where there is none.
  Result<std::string> gap_reason(int64_t stream, uint64_t after, uint64_t before);
  Status remove_gaps(int64_t stream, uint64_t last);

  // Runs `work` in one transaction: what comes in is synced, what goes is not. Where the disk is
  // full it is run a second time, with nothing of the first in the file and the whole log to
  // itself.
  Status transact(bool synced, const std::function<Status()>& work);
  // All that the log holds goes into the database's file, synced, and the log is empty.
  Status write_back();
  // Keeps a little of the disk for the log, so that records can be taken out once others, or the
  // queues themselves, have filled it. Where it is full already, or cannot keep any, nothing is
  // kept.
  void keep_room_for_log();
  // Gives pages that hold nothing back to the file system, where they are many.
  Status give_back();
  // In the write-ahead log since the last commit.
  uint64_t log_frames() const { return database_.log_frames(); }
  void keep_as_is() { database_.keep_as_is(); }

 private:
  QueueFile(sqlite::Database database, const std::string& path, int64_t page_size);
  Status run(bool synced, const std::function<Status()>& work);
  Status make_room();

  // Closed after the database, whose locks go with the first that is closed.
  Fd file_;
  sqlite::Database database_;
  std::string log_;  // path
  int64_t page_size_;
  bool log_has_room_ = false;
  bool synced_ = true;
};

}  // namespace wherry::telemetry
