#include "runtime/log/log_watch.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <vector>

#include <climits>

#include "base/files.h"

namespace wherry::runtime {
namespace {

constexpr uint32_t kNames = IN_CREATE | IN_MOVED_TO;
// Logs are deleted only all together, and a directory is not told of its end while one of its
// files is open.
constexpr uint32_t kGone = IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;

tl::unexpected<Error> trouble(const std::string& what) {
  const Code code = errno == ENOENT ? Code::NotFound : Code::ResourceExhausted;
  return fail(code, what + ": " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<LogWatch>> LogWatch::make(const std::string& log_dir) {
  if (Status made = make_directories(log_dir, 0750); !made) return fail(made.error());
  Fd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) return trouble("inotify");
  const int all = inotify_add_watch(inotify.get(), log_dir.c_str(), kNames | IN_ONLYDIR);
  if (all < 0) return trouble("watch " + log_dir);
  Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) return trouble("eventfd");
  return std::unique_ptr<LogWatch>(
      new LogWatch(log_dir, std::move(inotify), std::move(event), all));
}

LogWatch::LogWatch(std::string log_dir, Fd inotify, Fd event, int all)
    : log_dir_(std::move(log_dir)),
      inotify_(std::move(inotify)),
      event_(std::move(event)),
      all_(all) {}

Status LogWatch::follow(const std::string& pod, bool writes) {
  const std::string directory = log_dir_ + "/" + pod;
  const uint32_t mask = kNames | kGone | IN_ONLYDIR | (writes ? IN_MODIFY : 0U);
  const int watch = inotify_add_watch(inotify_.get(), directory.c_str(), mask);
  if (watch < 0) return trouble("watch " + directory);
  const auto known = watches_.find(pod);
  if (known != watches_.end() && known->second != watch) leave(pod);
  watches_[pod] = watch;
  pods_[watch] = pod;
  return {};
}

void LogWatch::leave(const std::string& pod) {
  const auto watch = watches_.find(pod);
  if (watch == watches_.end()) return;
  inotify_rm_watch(inotify_.get(), watch->second);  // fails where the kernel was first
  pods_.erase(watch->second);
  watches_.erase(watch);
}

void LogWatch::take_events(Seen& seen) {
  alignas(inotify_event) char buffer[16384];
  while (true) {
    const ssize_t got = read(inotify_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    for (ssize_t at = 0; at < got;) {
      inotify_event event{};
      memcpy(&event, buffer + at, sizeof event);
      const char* const name = buffer + at + sizeof event;
      at += static_cast<ssize_t>(sizeof event + event.len);
      if ((event.mask & IN_Q_OVERFLOW) != 0) seen.missed = true;
      if (event.wd == all_ && event.len > 0) seen.appeared.emplace(name);
      const auto pod = pods_.find(event.wd);
      if (pod == pods_.end()) continue;
      if ((event.mask & kGone) != 0) {
        seen.gone.insert(pod->second);
      } else if ((event.mask & kNames) != 0) {
        seen.renamed.insert(pod->second);
      } else if ((event.mask & IN_MODIFY) != 0) {
        seen.written.insert(pod->second);
      }
    }
  }
}

LogWatch::Seen LogWatch::wait(std::optional<Duration> timeout) {
  int left = -1;
  if (timeout) {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
    left = static_cast<int>(std::clamp<int64_t>(rest, 0, INT_MAX));
  }
  pollfd fds[2] = {{inotify_.get(), POLLIN, 0}, {event_.get(), POLLIN, 0}};
  Seen seen;
  if (poll(fds, 2, left) <= 0) return seen;
  uint64_t count = 0;
  static_cast<void>(!read(event_.get(), &count, sizeof count));
  take_events(seen);
  for (const std::string& pod : seen.gone) leave(pod);
  return seen;
}

void LogWatch::wake() {
  const uint64_t one = 1;
  static_cast<void>(!write(event_.get(), &one, sizeof one));
}

}  // namespace wherry::runtime
