#pragma once
// Turns what a container writes into records of the CRI log format, one per line:
//   2026-11-23T22:00:00.123456789Z stdout F text
// F ends a line; a line longer than kMaxText comes as several records, all but the last tagged P.
// Part of wherry-logger: no exceptions, no allocation, no C++ runtime library.

#include <cstddef>
#include <cstdint>
#include <ctime>

#include "runtime/log/logger/rotating_file.h"

namespace wherry::logger {

inline constexpr size_t kMaxText = 16 * 1024;  // bytes of text in one record, as in the CRI
inline constexpr size_t kHeader = 40;          // everything before the text
inline constexpr int kMaxRecords = 64;         // written at once

// Writes the kHeader bytes before a record's text.
void write_header(const timespec& now, bool is_stderr, bool full, char* out);

// Where records go. Counts what could not be written, and says so in the log once it can again.
class RecordSink {
 public:
  explicit RecordSink(RotatingFile& file) : file_(file) {}
  // Record i is parts[2i] (header) and parts[2i+1] (text with its newline); at most kMaxRecords.
  void write(const iovec* parts, int count, const timespec& now);
  uint64_t lost() const { return lost_; }

 private:
  size_t make_notice(const timespec& now, char* text) const;

  RotatingFile& file_;
  uint64_t lost_ = 0;
  int reason_ = 0;
};

// One stream of one container.
class LineFramer {
 public:
  explicit LineFramer(bool is_stderr) : is_stderr_(is_stderr) {}

  // Room for the next read; at least one byte.
  char* space() { return buffer_ + used_; }
  size_t space_size() const { return kMaxText - used_; }
  // `count` bytes were read into space(): hands on every complete line.
  void take(size_t count, const timespec& now, RecordSink& sink);
  // The stream ended: hands on what has no newline.
  void finish(const timespec& now, RecordSink& sink);

 private:
  const bool is_stderr_;
  size_t used_ = 0;
  bool unfinished_ = false;    // the last record was tagged P
  char buffer_[kMaxText + 1];  // and a newline after an unfinished line
};

}  // namespace wherry::logger
