#pragma once
// An HTTP proxy of the test's own: CONNECT, and plain requests by their whole URL.

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace wherry::test {

// Reaches every host at 127.0.0.1 and the port asked for, so names that do not exist show that a
// request really came this way.
class ConnectProxy {
 public:
  // With `credentials` ("user:password"), whoever has others gets 407.
  explicit ConnectProxy(std::string credentials = {});
  ~ConnectProxy();
  ConnectProxy(const ConnectProxy&) = delete;
  ConnectProxy& operator=(const ConnectProxy&) = delete;

  int port() const { return port_; }
  std::string authority() const { return "127.0.0.1:" + std::to_string(port_); }
  // Every request is answered with this status instead; 0: not.
  void refuse(int status) { refusal_ = status; }
  // "CONNECT host:port" or "GET http://host:port/…", in the order they came.
  std::vector<std::string> seen() const;

 private:
  void run();
  void serve(int client);
  void pump(int client, int server) const;

  const std::string credentials_;
  uint16_t port_ = 0;
  const Fd listener_;
  int stop_fd_ = -1;
  std::atomic<int> refusal_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> seen_;
  std::list<std::thread> clients_;  // the thread's own
  std::thread thread_;
};

}  // namespace wherry::test
