#pragma once
// One accepted connection: reads and writes that end at a deadline, whatever the peer does.

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace wherry::http {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}  // takes ownership; it may block or not
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }

  // At least one byte; 0 when the peer has closed its side. DeadlineExceeded, Unavailable.
  Result<size_t> read(char* buffer, size_t size, Duration timeout);
  // All of it. DeadlineExceeded when the peer has not taken it within `timeout`, Unavailable.
  Status write(std::string_view bytes, Duration timeout);
  // Ends our side: the peer reads to here and no further.
  void end();
  // The same, and swallows what the peer still sends, so that it reads our answer before it
  // sees the connection end; closing on unread bytes would cut the answer off.
  void linger(Duration timeout, size_t most);  // bytes
  // The same, of what is there already: waits for nothing.
  void part();
  // Wakes whoever reads or writes. Thread-safe.
  void abort();

 private:
  bool wait(short events, MonoTime until) const;

  const int fd_;
  SystemClock clock_;  // the kernel's poll knows no other
};

}  // namespace wherry::http
