#pragma once
// Something that listens and is no broker.

#include <arpa/inet.h>
#include <atomic>
#include <functional>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace wherry::test {

// Answers the first bytes of each connection with `answer`, then closes when `close_after`, else
// keeps the connection open and silent until the client leaves. One connection at a time.
class RawServer {
 public:
  RawServer(std::string answer, bool close_after)
      : answer_(std::move(answer)), close_after_(close_after) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    bind(listener_, generic, length);
    listen(listener_, 8);
    getsockname(listener_, generic, &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~RawServer() {
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    shutdown(connection_, SHUT_RDWR);
    thread_.join();
    close(listener_);
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
      connection_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
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
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connection_{-1};
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::string first_bytes_;
  std::thread thread_;
};

}  // namespace wherry::test
