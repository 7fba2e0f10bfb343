#include "runtime/log/directory_watch.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

namespace wherry::runtime {
namespace {

constexpr uint32_t kNames = IN_CREATE | IN_MOVED_TO;
// Our logs are replaced by renaming and deleted only all together. That a file is gone counts, as
// the directory itself is not told of its end while somebody has one of its files open.
constexpr uint32_t kGone = IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT;

}  // namespace

Result<std::unique_ptr<DirectoryWatch>> DirectoryWatch::make(const std::string& directory,
                                                             const CancelToken& cancel, For what) {
  const int inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (inotify_fd < 0) {
    return fail(Code::ResourceExhausted, std::string("inotify: ") + std::strerror(errno));
  }
  const uint32_t wanted =
      what == For::Lines ? IN_MODIFY | kNames | IN_DELETE : IN_CLOSE_WRITE | kNames;
  if (inotify_add_watch(inotify_fd, directory.c_str(),
                        wanted | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR) < 0) {
    const int error = errno;
    close(inotify_fd);
    return fail(error == ENOENT ? Code::NotFound : Code::ResourceExhausted,
                "watch " + directory + ": " + std::strerror(error));
  }
  const int cancel_fd = eventfd(0, EFD_CLOEXEC);
  if (cancel_fd < 0) {
    close(inotify_fd);
    return fail(Code::ResourceExhausted, std::string("eventfd: ") + std::strerror(errno));
  }
  return std::unique_ptr<DirectoryWatch>(new DirectoryWatch(
      what == For::WholeFiles ? directory : std::string(), inotify_fd, cancel_fd, cancel));
}

DirectoryWatch::DirectoryWatch(std::string whole_in, int inotify_fd, int cancel_fd,
                               const CancelToken& cancel)
    : whole_in_(std::move(whole_in)), inotify_fd_(inotify_fd), cancel_fd_(cancel_fd) {
  on_cancel_ = cancel.on_cancel([cancel_fd] {
    const uint64_t one = 1;
    static_cast<void>(!write(cancel_fd, &one, sizeof one));
  });
}

DirectoryWatch::~DirectoryWatch() {
  on_cancel_.reset();  // waits for a callback that is writing
  close(cancel_fd_);
  close(inotify_fd_);
}

// Somebody has made it and goes on to write it: that it is whole will be told. Of a link it is not.
bool DirectoryWatch::is_begun(const std::string& name, bool directory) const {
  if (whole_in_.empty() || directory) return false;
  struct stat info {};
  if (lstat((whole_in_ + "/" + name).c_str(), &info) != 0) return true;
  return S_ISREG(info.st_mode) && info.st_nlink < 2;
}

std::optional<DirectoryWatch::Event> DirectoryWatch::take_events() {
  alignas(inotify_event) char buffer[4096];
  std::optional<Event> result;
  while (true) {
    const ssize_t got = read(inotify_fd_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return result;
    for (ssize_t at = 0; at < got;) {
      inotify_event event{};
      memcpy(&event, buffer + at, sizeof event);
      const char* const name = buffer + at + sizeof event;
      at += static_cast<ssize_t>(sizeof event + event.len);
      if ((event.mask & kGone) != 0) return Event::Gone;
      const bool begun = (event.mask & IN_CREATE) != 0 && event.len > 0 &&
                         is_begun(name, (event.mask & IN_ISDIR) != 0);
      if (begun) continue;
      // After an overflow anything may have happened.
      const bool names = (event.mask & (kNames | IN_Q_OVERFLOW)) != 0;
      if (names || !result) result = names ? Event::NamesChanged : Event::Written;
    }
  }
}

DirectoryWatch::Event DirectoryWatch::wait(std::optional<Duration> timeout) {
  const SystemClock clock;
  const MonoTime until = clock.now() + timeout.value_or(Duration::zero());
  while (true) {
    int left = -1;
    if (timeout) {
      const auto rest = std::chrono::ceil<std::chrono::milliseconds>(until - clock.now()).count();
      left = static_cast<int>(std::clamp<int64_t>(rest, 0, INT_MAX));
    }
    pollfd fds[2] = {{inotify_fd_, POLLIN, 0}, {cancel_fd_, POLLIN, 0}};
    const int ready = poll(fds, 2, left);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return Event::Gone;
    if (ready == 0) return Event::Timeout;
    if (fds[1].revents != 0) return Event::Cancelled;
    if (const auto seen = take_events()) return *seen;
  }
}

}  // namespace wherry::runtime
