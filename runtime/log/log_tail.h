#pragma once
// One container's log, line by line, from a place that can be kept: who reads it on from there has
// every line once, also after rotations and in another life of the program.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/log/log_files.h"

namespace wherry::runtime {

// Behind a record. A file is told by the time of its first record, since inodes are used again.
struct LogPlace {
  std::string began;  // that time; empty: before the first record
  uint64_t inode = 0;
  int64_t offset = 0;    // in that file
  std::string last;      // time of the record before the place
  bool out_cut = false;  // the rest of a line of stdout follows, which is left out
  bool err_cut = false;  // … of stderr
  bool operator==(const LogPlace&) const = default;
};
std::string to_text(const LogPlace& place);  // "" for before the first record
// Nothing for what is no place.
std::optional<LogPlace> parse_log_place(std::string_view text);

struct LogLine {
  std::string_view time;  // RFC 3339 in UTC with nine digits of a second
  std::string_view text;  // at most 16 KiB
  bool is_stderr = false;
  bool cut = false;  // it was longer, and is left out from there on
};

class LogTail {
 public:
  // `meanwhile`: as of LogFiles.
  explicit LogTail(std::string path, std::function<void()> meanwhile = {})
      : files_(std::move(path), std::move(meanwhile)) {}

  // Goes on behind `place`; where the log has no such place, with its oldest record.
  Status open(const LogPlace& place);
  // The next line, whole, as long as nothing else is called; null at the (present) end and at a
  // gap.
  const LogLine* next();
  // After next() gave null. True: there may have been lines here, which were rotated away; next()
  // goes on behind them. It is false only where there were none for certain.
  bool pass_gap();
  // Looks for files that came since, after next() gave null.
  Status refresh() { return files_.look(); }
  // Behind what next() gave last, and what it passed over.
  const LogPlace& place() const { return place_; }

 private:
  bool fill();
  bool take(std::string_view record);

  LogFiles files_;
  LogPlace place_;
  bool new_file_ = true;    // nothing has been taken of the present file
  std::string skip_until_;  // records of the present file up to this time were taken before
  std::string raw_;         // of the present file, up to its offset
  size_t begin_ = 0;        // of what has not been taken of it
  LogLine line_;
};

}  // namespace wherry::runtime
