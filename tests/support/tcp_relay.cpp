#include "tests/support/tcp_relay.h"

#include <algorithm>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "tests/support/net.h"

namespace wherry::test {
namespace {

void close_with_reset(int fd) {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

bool send_all(int to, const char* bytes, ssize_t size) {
  for (ssize_t sent = 0; sent < size;) {
    const ssize_t count = send(to, bytes + sent, static_cast<size_t>(size - sent), MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += count;
  }
  return true;
}

// False at the end of the stream.
bool ask(int from, int to) {
  char buffer[16384];
  const ssize_t got = recv(from, buffer, sizeof buffer, 0);
  return got > 0 && send_all(to, buffer, got);
}

}  // namespace

TcpRelay::TcpRelay(int target) : target_(target), listener_(listen_on_loopback(port_)) {
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { run(); });
}

TcpRelay::~TcpRelay() {
  stopping_ = true;
  wake();
  thread_.join();
  reset_all();
  close(wake_fd_);
}

void TcpRelay::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void TcpRelay::reset_all() {
  for (const Pair& pair : pairs_) {
    close_with_reset(pair.client);
    close_with_reset(pair.server);
  }
  pairs_.clear();
}

void TcpRelay::accept_one() {
  Pair pair;
  pair.client = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
  pair.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(target_);
  const int on = 1;
  setsockopt(pair.client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(pair.server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // What is on the wire is counted, not what waits to be sent.
  const int little = 64 << 10;
  setsockopt(pair.client, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
  if (connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    pairs_.push_back(pair);
    return;
  }
  close_with_reset(pair.client);
  close(pair.server);
}

bool TcpRelay::answer(Pair& pair) {
  char buffer[65536];
  size_t most = sizeof buffer;
  if (cut_after_ > 0) most = std::min(most, static_cast<size_t>(cut_after_ - pair.passed));
  if (rate_ > 0) most = std::min(most, static_cast<size_t>(std::max(1.0, allowance_)));
  const ssize_t got = recv(pair.server, buffer, most, 0);
  if (got <= 0) return false;
  const int64_t place = damage_at_ - pair.passed;
  if (damages_ > 0 && place >= 0 && place < got) {
    buffer[place] = static_cast<char>(buffer[place] ^ 1);
    --damages_;
  }
  allowance_ -= static_cast<double>(got);
  pair.passed += got;
  passed_ += got;
  if (!send_all(pair.client, buffer, got)) return false;
  if (cut_after_ == 0 || pair.passed < cut_after_) return true;
  ++cuts_;
  return false;
}

void TcpRelay::refill() {
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> gone = now - refilled_;
  refilled_ = now;
  const auto rate = static_cast<double>(rate_);
  allowance_ = std::min(rate / 10, allowance_ + gone.count() * rate);
}

void TcpRelay::run() {
  while (!stopping_) {
    if (cut_.exchange(false)) reset_all();
    std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    refill();
    const bool open_again = rate_ == 0 || allowance_ >= 1;
    if (!stalled_) {
      for (const Pair& pair : pairs_) {
        fds.push_back({pair.client, POLLIN, 0});
        fds.push_back({pair.server, static_cast<short>(open_again ? POLLIN : 0), 0});
      }
    }
    poll(fds.data(), fds.size(), open_again ? -1 : 10);
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof count);
    size_t at = 2;
    for (auto pair = pairs_.begin(); at < fds.size(); at += 2) {
      const bool open = (fds[at].revents == 0 || ask(pair->client, pair->server)) &&
                        (fds[at + 1].revents == 0 || answer(*pair));
      if (!open) {
        close(pair->client);
        close(pair->server);
      }
      pair = open ? std::next(pair) : pairs_.erase(pair);
    }
    if (fds[1].revents != 0) accept_one();
  }
}

}  // namespace wherry::test
