#include "agent/simulate/device_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

#include "base/executor.h"

namespace wherry::simulate {
namespace {

constexpr uint64_t kWake = UINT64_MAX;
constexpr int kAtOnce = 64;

// The bits of poll(2) and epoll_ctl(2) are the same.
static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR &&
              POLLHUP == EPOLLHUP);

int checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

}  // namespace

DeviceLoop::DeviceLoop(std::vector<DeviceSetup> setups, const Clock& clock)
    : clock_(clock),
      epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  epoll_event event{EPOLLIN, {.u64 = kWake}};
  checked(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event), "epoll_ctl");
  seats_.reserve(setups.size());
  for (DeviceSetup& setup : setups) {
    const MonoTime at = setup.connect_at;
    seats_.push_back({std::move(setup), nullptr, at});
    timers_.emplace(at, seats_.size() - 1);
  }
}

DeviceLoop::~DeviceLoop() {
  stop(Duration::zero());
  join();
}

void DeviceLoop::start() {
  thread_ = std::thread([this] { run(); });
}

void DeviceLoop::stop(Duration timeout) {
  stop_at_ = (clock_.now() + timeout).time_since_epoch().count();
  stopping_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
}

void DeviceLoop::join() {
  if (thread_.joinable()) thread_.join();
}

DeviceLoop::Tally DeviceLoop::tally() const {
  const std::lock_guard lock(mutex_);
  return {seats_.size(), connected_, trouble_};
}

void DeviceLoop::run() {
  name_this_thread("devices");
  std::array<epoll_event, kAtOnce> ready{};
  while (true) {
    const int count = epoll_wait(epoll_.get(), ready.data(), kAtOnce, wait_millis());
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = ready[static_cast<size_t>(i)];
      if (event.data.u64 == kWake) {
        uint64_t value = 0;
        [[maybe_unused]] const ssize_t got = read(wake_.get(), &value, sizeof value);
      } else {
        give_turn(event.data.u64, static_cast<short>(event.events));
      }
    }
    if (stopping_) take_leave();
    if (leaving_ && (all_left() || clock_.now().time_since_epoch().count() >= stop_at_)) break;
    const MonoTime now = clock_.now();
    for (int i = 0; i < kAtOnce && !timers_.empty() && timers_.begin()->first <= now; ++i) {
      give_turn(timers_.begin()->second, 0);
    }
  }
  seats_.clear();
  connected_ = 0;
}

int DeviceLoop::wait_millis() const {
  constexpr int64_t kMost = 60'000;
  int64_t wait = kMost;
  const auto until = [&](MonoTime time) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - clock_.now()).count();
    wait = std::clamp<int64_t>(left, 0, wait);
  };
  if (!timers_.empty()) until(timers_.begin()->first);
  if (leaving_) until(MonoTime(Duration(stop_at_)));
  return static_cast<int>(wait);
}

void DeviceLoop::give_turn(size_t place, short revents) {
  Seat& seat = seats_[place];
  if (!seat.device) {
    if (leaving_) return;
    seat.device = std::make_unique<VirtualDevice>(std::move(seat.setup), clock_);
  }
  seat.device->turn(revents);
  watch(place);
  set_timer(place);
  const bool connected = seat.device->link().connected();
  if (connected != seat.counted) {
    seat.counted = connected;
    connected_ += connected ? 1 : size_t(-1);
  }
  if (connected || seat.device->trouble().empty()) return;
  const std::lock_guard lock(mutex_);
  trouble_ = seat.device->trouble();
}

// A socket that was closed is no longer watched by itself.
void DeviceLoop::watch(size_t place) {
  Seat& seat = seats_[place];
  const DeviceLink& link = seat.device->link();
  if (link.fd() < 0) return;
  const short wanted = link.poll_events();
  const bool fresh = link.connection() != seat.connection;
  if (!fresh && wanted == seat.events) return;
  epoll_event event{static_cast<uint32_t>(wanted), {.u64 = place}};
  epoll_ctl(epoll_.get(), fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, link.fd(), &event);
  seat.connection = link.connection();
  seat.events = wanted;
}

void DeviceLoop::set_timer(size_t place) {
  Seat& seat = seats_[place];
  timers_.erase({seat.wake, place});
  if (const auto wake = seat.device->wake_at()) {
    seat.wake = *wake;
    timers_.emplace(*wake, place);
  }
}

void DeviceLoop::take_leave() {
  if (leaving_) return;
  leaving_ = true;
  for (size_t place = 0; place < seats_.size(); ++place) {
    if (!seats_[place].device) {
      timers_.erase({seats_[place].wake, place});
      continue;
    }
    seats_[place].device->leave();
    give_turn(place, 0);
  }
}

bool DeviceLoop::all_left() const {
  return std::all_of(seats_.begin(), seats_.end(),
                     [](const Seat& seat) { return !seat.device || seat.device->link().left(); });
}

}  // namespace wherry::simulate
