#pragma once
// Reads one container's log across its rotated files, from any point to the end and beyond.

#include <array>
#include <deque>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wherry::runtime {

// A whole line, its parts joined. Very long ones come in pieces that do not end it.
struct LogEntry {
  std::string time;  // of its last part
  std::string text;  // with its newline
};

class LogCursor {
 public:
  explicit LogCursor(std::string path) : path_(std::move(path)) {}
  ~LogCursor();
  LogCursor(LogCursor&&) noexcept;
  LogCursor(const LogCursor&) = delete;
  LogCursor& operator=(const LogCursor&) = delete;

  const std::string& path() const { return path_; }
  // At the first record there is (`tail` < 0) or at the last `tail` lines. Missing: no records yet.
  Status open(int64_t tail);
  // The next entry without removing it; null at the (present) end.
  const LogEntry* peek();
  void pop() { ready_.pop_front(); }
  // Looks for files that came after the one read last, after peek() gave null.
  Status refresh();

 private:
  struct File {
    int fd;
    off_t offset;
  };
  Status open_newer_than_last();
  void seek_to_tail(int64_t lines);
  bool read_more();
  void take_records();
  void take_line(std::string_view line);

  std::string path_;
  std::deque<File> files_;  // oldest first; the last stays open to notice what is appended
  std::string raw_;         // read, not yet a whole record
  std::array<LogEntry, 2> joining_;
  std::deque<LogEntry> ready_;
};

}  // namespace wherry::runtime
