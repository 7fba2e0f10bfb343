#include "agent/api/http_socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace wherry::http {
namespace {

tl::unexpected<Error> gone(int error) {
  return fail(Code::Unavailable, std::string("the client went away: ") + std::strerror(error));
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

bool Socket::wait(short events, MonoTime until) const {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock_.now()).count();
    if (left <= 0) return false;
    pollfd entry{fd_, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 3'600'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Result<size_t> Socket::read(char* buffer, size_t size, Duration timeout) {
  const MonoTime until = clock_.now() + timeout;
  while (true) {
    const ssize_t got = recv(fd_, buffer, size, MSG_DONTWAIT);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return gone(errno);
    if (!wait(POLLIN, until)) return fail(Code::DeadlineExceeded, "the client sends too slowly");
  }
}

Status Socket::write(std::string_view bytes, Duration timeout) {
  const MonoTime until = clock_.now() + timeout;
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return gone(errno);
    if (!wait(POLLOUT, until)) return fail(Code::DeadlineExceeded, "the client reads too slowly");
  }
  return {};
}

void Socket::end() { shutdown(fd_, SHUT_WR); }

void Socket::linger(Duration timeout, size_t most) {
  if (shutdown(fd_, SHUT_WR) != 0) return;
  const MonoTime until = clock_.now() + timeout;
  std::array<char, 4096> scrap{};
  while (true) {
    const Duration left = until - clock_.now();
    if (left <= Duration::zero()) return;
    const auto got = read(scrap.data(), scrap.size(), left);
    if (!got || *got == 0 || *got >= most) return;
    most -= *got;
  }
}

void Socket::part() {
  end();
  std::array<char, 4096> scrap{};
  for (int i = 0; i < 8; ++i) {
    if (recv(fd_, scrap.data(), scrap.size(), MSG_DONTWAIT) <= 0) return;
  }
}

void Socket::abort() { shutdown(fd_, SHUT_RDWR); }

}  // namespace wherry::http
