#pragma once
// One thread that gives many simulated devices their turns: an epoll(7) loop.

#include <atomic>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/simulate/virtual_device.h"
#include "base/fd.h"

namespace wherry::simulate {

class DeviceLoop {
 public:
  // Devices are made on the loop's thread, each when it is to connect. Throws std::system_error
  // where the kernel gives no epoll instance.
  DeviceLoop(std::vector<DeviceSetup> setups, const Clock& clock);
  ~DeviceLoop();
  DeviceLoop(const DeviceLoop&) = delete;
  DeviceLoop& operator=(const DeviceLoop&) = delete;

  void start();
  // From any thread: all devices say goodbye, those that cannot within `timeout` are cut off.
  void stop(Duration timeout);
  void join();

  struct Tally {
    size_t devices = 0, connected = 0;
    std::string trouble;  // of one that is not connected
  };
  Tally tally() const;

 private:
  struct Seat {
    DeviceSetup setup;
    std::unique_ptr<VirtualDevice> device;
    MonoTime wake{};          // as it stands in timers_
    uint64_t connection = 0;  // whose socket the kernel watches
    short events = 0;         // … and for what
    bool counted = false;     // as connected
  };
  void run();
  void give_turn(size_t place, short revents);
  void watch(size_t place);
  void set_timer(size_t place);
  bool all_left() const;
  int wait_millis() const;
  void take_leave();

  const Clock& clock_;
  const Fd epoll_, wake_;
  std::vector<Seat> seats_;  // the thread's own
  std::set<std::pair<MonoTime, size_t>> timers_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> stop_at_{0};
  bool leaving_ = false;
  std::atomic<size_t> connected_{0};
  mutable std::mutex mutex_;
  std::string trouble_;
};

}  // namespace wherry::simulate
