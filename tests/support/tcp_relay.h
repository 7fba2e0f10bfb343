#pragma once
// A cable between a client and a server that can be cut, pinched, slowed down and measured.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <thread>

#include "base/fd.h"

namespace wherry::test {

// Listens on a free port of 127.0.0.1 and passes bytes to and from 127.0.0.1:`target`.
class TcpRelay {
 public:
  explicit TcpRelay(int target);
  ~TcpRelay();
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;

  int port() const { return port_; }
  // Resets every connection (both sides see RST); new ones are passed on.
  void cut() { cut_ = true, wake(); }
  // While stalled nothing is passed on and nothing is closed; new connections are accepted.
  void stall(bool stalled) { stalled_ = stalled, wake(); }
  // Every connection is reset when so many bytes have come from the server; 0: never.
  void cut_each_after(int64_t bytes) { cut_after_ = bytes; }
  // From the server, all connections together; 0: as fast as it goes.
  void slow_down(int64_t bytes_per_second) { rate_ = bytes_per_second, wake(); }
  // The byte at that place of the next connections' answers is another one, `times` times.
  void damage(int64_t place, int times) { damage_at_ = place, damages_ = times; }
  // From the server to clients so far.
  int64_t passed() const { return passed_; }
  int cuts() const { return cuts_; }

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    int64_t passed = 0;  // from the server
  };
  void run();
  bool answer(Pair& pair);
  void refill();
  void accept_one();
  void reset_all();
  void wake();

  const int target_;
  uint16_t port_ = 0;
  const Fd listener_;
  int wake_fd_ = -1;
  std::atomic<bool> cut_{false};
  std::atomic<bool> stalled_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> cut_after_{0}, rate_{0}, passed_{0}, damage_at_{0};
  std::atomic<int> cuts_{0}, damages_{0};
  double allowance_ = 0;  // bytes that may pass now; the thread's own
  std::chrono::steady_clock::time_point refilled_{};
  std::list<Pair> pairs_;  // the thread's own
  std::thread thread_;
};

}  // namespace wherry::test
