#pragma once
// File descriptors: one that closes itself, and the three that every program has.

#include <unistd.h>
#include <utility>

namespace wherry {

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Opens /dev/null for those of 0, 1 and 2 that the caller closed, so that no file or socket of ours
// becomes a standard stream. For the start of a program, before anything else is open.
void open_standard_descriptors();

}  // namespace wherry
