#pragma once
// How much of the queues' write-ahead log has been synced, in a file beside it. After a kill or a
// power cut it tells records that are missing from such as never were: what is not synced yet
// reaches the disk in any order, or not at all.

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace wherry::telemetry {

// Not thread-safe.
class LogMark {
 public:
  explicit LogMark(std::string database) : database_(std::move(database)) {}

  // Of a database that is not open yet: its log is gone, or shorter than it was known to be, or
  // that was so before and is not over.
  bool records_are_missing() const;
  // Records are missing, whatever becomes of the log. Synced.
  Status note_loss();
  // The log is empty, as all it held is in the database itself: nothing is missing any more.
  Status note_written_back();
  // After a synced commit that left so many `frames` in the log. Written, and not synced, only now
  // and then: what it knows may be old, but is never too much.
  void note(uint64_t frames);
  // Before all of the log is written back. Synced.
  Status remove_for_good();
  // Before a sound database is closed, which removes the log. In this order: a log that is gone
  // while its mark is there has been lost.
  void remove();
  // The database is closed as it is.
  void forget();

 private:
  std::string path() const { return database_ + "-in-use"; }

  const std::string database_;
  Fd mark_, log_;
  std::string salts_;
  uint64_t frames_ = 0;
};

}  // namespace wherry::telemetry
