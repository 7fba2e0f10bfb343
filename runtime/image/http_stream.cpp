#include "runtime/image/http_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

#include <climits>
#include <openssl/ssl.h>

namespace wherry::runtime {
namespace {

constexpr size_t kMaxLines = 64u << 10;
constexpr size_t kMaxFirstLine = 4u << 10;

}  // namespace

size_t LineBudget::allow(size_t size) const {
  const size_t limit = first_line_ended_ ? kMaxLines : kMaxFirstLine;
  return exceeded_ || used_ >= limit ? 0 : std::min(size, limit - used_);
}

void LineBudget::take(const char* bytes, size_t size) {
  used_ += size;
  first_line_ended_ = first_line_ended_ || std::memchr(bytes, '\n', size) != nullptr;
}

bool LineBudget::waited(Duration time, uint64_t bytes_so_far, Duration patience) {
  constexpr uint64_t kProgress = 1u << 10;
  if (bytes_so_far < counted_ || bytes_so_far - counted_ >= kProgress) {
    counted_ = bytes_so_far;
    waited_ = Duration::zero();
    return true;
  }
  waited_ += time;
  starved_ = waited_ >= patience;
  return !starved_;
}

bool HttpStream::wait(short events) const {
  const SystemClock clock;
  const MonoTime until = clock.now() + patience_;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock.now()).count();
    pollfd entry{socket_, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX)));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0;
  }
}

bool HttpStream::wait_to_read() const {
  const SystemClock clock;
  const MonoTime begin = clock.now();
  if (!wait(POLLIN)) return false;
  const uint64_t received = ssl_ == nullptr ? received_ : BIO_number_read(SSL_get_rbio(ssl_));
  return budget_.waited(clock.now() - begin, received, patience_);
}

bool HttpStream::is_readable() const {
  return begin_ < end_ || (ssl_ != nullptr && SSL_pending(ssl_) > 0) || wait_to_read();
}

ssize_t HttpStream::receive() {
  while (true) {
    if (ssl_ == nullptr) {
      // Mostly there is something, so asking first would be a call too many.
      const ssize_t got = recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (got > 0) received_ += static_cast<uint64_t>(got);
      if (got >= 0) return got;
      if (errno == EINTR) continue;
      if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait_to_read()) return -1;
      continue;
    }
    if (SSL_pending(ssl_) == 0 && !wait_to_read()) return -1;
    const int got = SSL_read(ssl_, buffer_.data(), static_cast<int>(buffer_.size()));
    if (got > 0) return got;
    const int why = SSL_get_error(ssl_, got);
    // A record that is not whole yet; the wait above bounds the silence.
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) continue;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
  }
}

ssize_t HttpStream::read(char* bytes, size_t size) {
  size = budget_.allow(size);
  if (size == 0) {
    budget_.exceed();
    return -1;
  }
  if (begin_ == end_) {
    const ssize_t got = receive();
    if (got <= 0) return got;
    begin_ = 0;
    end_ = static_cast<size_t>(got);
  }
  size = std::min(size, end_ - begin_);
  std::memcpy(bytes, buffer_.data() + begin_, size);
  begin_ += size;
  budget_.take(bytes, size);
  return static_cast<ssize_t>(size);
}

ssize_t HttpStream::write(const char* bytes, size_t size) {
  while (true) {
    if (!wait(POLLOUT)) return -1;
    if (ssl_ == nullptr) {
      const ssize_t sent = send(socket_, bytes, size, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      return sent;
    }
    const int sent = SSL_write(ssl_, bytes, static_cast<int>(std::min<size_t>(size, INT_MAX)));
    if (sent > 0) return sent;
    const int why = SSL_get_error(ssl_, sent);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return -1;
  }
}

// Nobody asks a client for these.
void HttpStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}
void HttpStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace wherry::runtime
