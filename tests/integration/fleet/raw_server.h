#pragma once
// Something that listens and is no broker.

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "base/fd.h"
#include "tests/support/net.h"

namespace wherry::test {

// Answers the first bytes of each connection with `answer`, then closes when `close_after`, else
// keeps the connection open and silent until the client leaves. One connection at a time.
class RawServer {
 public:
  RawServer(std::string answer, bool close_after)
      : answer_(std::move(answer)),
        close_after_(close_after),
        listener_(listen_on_loopback(port_, 8)) {
    thread_ = std::thread([this] { run(); });
  }
  ~RawServer() {
    stopping_ = true;
    shutdown(listener_.get(), SHUT_RDWR);
    shutdown(connection_, SHUT_RDWR);
    thread_.join();
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::string url(const std::string& scheme = "mqtt") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_);
  }
  int connections() const { return connections_; }
  std::string first_bytes() const {
    const std::lock_guard lock(mutex_);
    return first_bytes_;
  }

 private:
  void run() {
    while (!stopping_) {
      connection_ = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (connection_ < 0) return;
      ++connections_;
      serve();
      close(connection_);
    }
  }
  void serve() {
    char buffer[4096];
    const ssize_t got = recv(connection_, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    {
      const std::lock_guard lock(mutex_);
      first_bytes_.assign(buffer, static_cast<size_t>(got));
    }
    send(connection_, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    while (!close_after_ && recv(connection_, buffer, sizeof buffer, 0) > 0) {
    }
  }

  const std::string answer_;
  const bool close_after_;
  uint16_t port_ = 0;
  const Fd listener_;
  std::atomic<int> connection_{-1};
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::string first_bytes_;
  std::thread thread_;
};

}  // namespace wherry::test
