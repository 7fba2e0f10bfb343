#pragma once
// The files of one container's log in the order they were written, from the one that is being read
// to the newest. An open file stays readable whatever becomes of its name.

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace wherry::runtime {

class LogFiles {
 public:
  struct File {
    Fd fd;
    uint64_t inode = 0;
    off_t offset = 0;        // how far it has been read
    bool after_gap = false;  // what was written before it may have been rotated away
  };
  // `meanwhile` is called before each look at a name, which the logger may change at any moment.
  explicit LogFiles(std::string path, std::function<void()> meanwhile = {})
      : path_(std::move(path)), meanwhile_(std::move(meanwhile)) {}
  ~LogFiles() = default;
  LogFiles(LogFiles&&) noexcept = default;
  LogFiles(const LogFiles&) = delete;
  LogFiles& operator=(const LogFiles&) = delete;

  const std::string& path() const { return path_; }
  // Opens those that came after the newest one that is open: all, the first time. Missing: none.
  // Those of which it is not certain that they follow one another have a gap between them.
  Status look();
  bool empty() const { return files_.empty(); }
  size_t size() const { return files_.size(); }
  File& front() { return files_.front(); }
  std::deque<File>& all() { return files_; }
  void drop_front() { files_.pop_front(); }
  // Adds up to `most` bytes of the first one to `text`, from its offset on, which it moves. False
  // at its end, at present, and for an error.
  bool read_onto(std::string& text, size_t most);

 private:
  std::string path_;
  std::function<void()> meanwhile_;
  std::deque<File> files_;
};

// At `offset`, as much as there is of `size` bytes; 0 at the end and for an error.
size_t read_at(int fd, char* into, size_t size, off_t offset);

}  // namespace wherry::runtime
