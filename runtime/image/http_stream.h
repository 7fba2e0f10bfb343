#pragma once
// The bytes of one exchange, as httplib wants them. httplib itself reads lines of any length into
// memory, and matches the first one by a regular expression that needs stack for each character.
// Private to the HTTP client of this room.

#include <array>
#include <poll.h>
#include <string>

#include <httplib.h>

#include "base/clock.h"

namespace wherry::runtime {

// What may arrive between two pieces of a body: a head with all that comes before it, the size of a
// chunk, a trailer; and how slowly. One for each exchange.
class LineBudget {
 public:
  void begin() { *this = LineBudget(); }
  void body_moved() { used_ = 0; }
  // How much of the next `size` bytes may be looked at; 0: enough is enough.
  size_t allow(size_t size) const;
  void take(const char* bytes, size_t size);
  bool exceeded() const { return exceeded_; }
  void exceed() { exceeded_ = true; }

  // What came from the wire after waiting for it so long. False where that is too little, over the
  // time that was waited since a kilobyte came last. Time in which nobody waits does not count.
  bool waited(Duration time, uint64_t bytes_so_far, Duration patience);
  void head_ended() { waited_ = Duration::zero(); }
  bool starved() const { return starved_; }

 private:
  Duration waited_{};
  uint64_t counted_ = 0;  // bytes when the waiting was counted anew
  bool starved_ = false;
  size_t used_ = 0;
  bool first_line_ended_ = false;
  bool exceeded_ = false;
};

// Does not own the socket, which blocks, nor `ssl` (null: none).
class HttpStream final : public httplib::Stream {
 public:
  HttpStream(int socket, SSL* ssl, Duration patience, LineBudget& budget)
      : socket_(socket), ssl_(ssl), patience_(patience), budget_(budget) {}

  bool is_readable() const override;
  bool is_writable() const override { return wait(POLLOUT); }
  ssize_t read(char* bytes, size_t size) override;
  ssize_t write(const char* bytes, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  bool wait(short events) const;
  bool wait_to_read() const;
  ssize_t receive();

  const int socket_;
  SSL* const ssl_;
  const Duration patience_;
  LineBudget& budget_;
  uint64_t received_ = 0;               // bytes; without TLS
  std::array<char, 64u << 10> buffer_;  // what is read of it was written before
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace wherry::runtime
