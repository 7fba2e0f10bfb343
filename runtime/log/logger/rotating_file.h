#pragma once
// One container's log on disk: <path>, and <path>.1 (newer) to <path>.3 (older) once it has grown.
// Part of wherry-logger: no exceptions, no allocation, no C++ runtime library.

#include <cstdint>
#include <sys/uio.h>

namespace wherry::logger {

inline constexpr int kFiles = 4;                  // the current one and those before it
inline constexpr int kMaxPath = 4096;             // with the suffix
inline constexpr int64_t kMinTotal = 128 * 1024;  // smaller caps are raised to this

// Writes whole records or nothing. All files together stay within the cap; at least three quarters
// of it hold the newest records once that much was written.
class RotatingFile {
 public:
  // `path` is absolute and shorter than kMaxPath - 2. Opens nothing yet.
  RotatingFile(const char* path, int64_t max_total_bytes);
  ~RotatingFile();
  RotatingFile(const RotatingFile&) = delete;
  RotatingFile& operator=(const RotatingFile&) = delete;

  // False when nothing of it was written: no space, no directory, an I/O error (see last_error).
  // The caller goes on; the next call tries again.
  bool append(const iovec* parts, int count);
  int last_error() const { return error_; }
  bool open();  // ahead of the first append

 private:
  bool rotate();
  void close_file();
  bool write_all(const iovec* parts, int count, int64_t total);

  char path_[kMaxPath];
  const int64_t file_cap_;
  int fd_ = -1;
  int64_t size_ = 0;
  int error_ = 0;
};

// <path>.<n> for n > 0, <path> for 0. `out` has room for kMaxPath bytes.
void numbered_path(const char* path, int n, char* out);

}  // namespace wherry::logger
