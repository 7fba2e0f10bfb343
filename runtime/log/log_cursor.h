#pragma once
// Reads one container's log across its rotated files, from any point to the end and beyond.

#include <array>
#include <deque>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/log/log_files.h"

namespace wherry::runtime {

// A whole line, its parts joined. Very long ones come in pieces that do not end it.
struct LogEntry {
  std::string time;  // of its last part
  std::string text;  // with its newline
};

class LogCursor {
 public:
  explicit LogCursor(std::string path) : files_(std::move(path)) {}
  ~LogCursor() = default;
  LogCursor(LogCursor&&) noexcept = default;
  LogCursor(const LogCursor&) = delete;
  LogCursor& operator=(const LogCursor&) = delete;

  const std::string& path() const { return files_.path(); }
  // At the first record there is (`tail` < 0) or at the last `tail` lines. Missing: no records yet.
  Status open(int64_t tail);
  // The next entry without removing it; null at the (present) end.
  const LogEntry* peek();
  void pop() { ready_.pop_front(); }
  // Looks for files that came after the one read last, after peek() gave null.
  Status refresh() { return files_.look(); }

 private:
  void seek_to_tail(int64_t lines);
  bool read_more();
  void take_records();
  void take_line(std::string_view line);

  LogFiles files_;
  std::string raw_;  // read, not yet a whole record
  std::array<LogEntry, 2> joining_;
  std::deque<LogEntry> ready_;
};

}  // namespace wherry::runtime
