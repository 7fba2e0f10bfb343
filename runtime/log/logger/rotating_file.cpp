#include "runtime/log/logger/rotating_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace wherry::logger {

void numbered_path(const char* path, int n, char* out) {
  const size_t length = strnlen(path, kMaxPath - 3);
  memcpy(out, path, length);
  if (n > 0) {
    out[length] = '.';
    out[length + 1] = static_cast<char>('0' + n);
    out[length + 2] = 0;
  } else {
    out[length] = 0;
  }
}

RotatingFile::RotatingFile(const char* path, int64_t max_total_bytes)
    : path_(), file_cap_((max_total_bytes < kMinTotal ? kMinTotal : max_total_bytes) / kFiles) {
  numbered_path(path, 0, path_);
}

RotatingFile::~RotatingFile() { close_file(); }

void RotatingFile::close_file() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool RotatingFile::open() {
  if (fd_ >= 0) return true;
  fd_ = ::open(path_, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
  struct stat info {};
  if (fd_ < 0 || fstat(fd_, &info) != 0) {
    error_ = errno;
    close_file();
    return false;
  }
  size_ = info.st_size;
  // A power cut may have left half a record: end it, so that it does not swallow the next one.
  char last = '\n';
  if (size_ > 0 && pread(fd_, &last, 1, size_ - 1) == 1 && last != '\n' &&
      write(fd_, "\n", 1) == 1) {
    ++size_;
  }
  return true;
}

bool RotatingFile::rotate() {
  struct stat mine {};
  struct stat present {};
  // The container's next attempt has a logger of its own, which may have rotated before us.
  const bool still_current = fstat(fd_, &mine) == 0 && stat(path_, &present) == 0 &&
                             mine.st_ino == present.st_ino && mine.st_dev == present.st_dev;
  close_file();
  if (still_current) {
    char from[kMaxPath];
    char to[kMaxPath];
    for (int n = kFiles - 1; n > 0; --n) {
      numbered_path(path_, n, to);
      numbered_path(path_, n - 1, from);
      if (rename(from, to) != 0 && errno != ENOENT) {
        error_ = errno;
        return false;
      }
    }
  }
  return open();
}

bool RotatingFile::write_all(const iovec* parts, int count, int64_t total) {
  ssize_t written = 0;
  do {
    written = writev(fd_, parts, count);
  } while (written < 0 && errno == EINTR);
  if (written == total) {
    size_ += total;
    return true;
  }
  // A short write means the disk is full: half a record is worse than none.
  error_ = written < 0 ? errno : ENOSPC;
  if (written > 0 && ftruncate(fd_, size_) != 0) size_ += written;
  return false;
}

bool RotatingFile::append(const iovec* parts, int count) {
  int64_t total = 0;
  for (int i = 0; i < count; ++i) total += static_cast<int64_t>(parts[i].iov_len);
  if (!open()) return false;
  if (size_ > 0 && size_ + total > file_cap_ && !rotate()) return false;
  return write_all(parts, count, total);
}

}  // namespace wherry::logger
