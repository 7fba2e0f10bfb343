// wherry-logger: writes what one container says to its log file, from before its first byte until
// after its last. containerd's shim starts it (runtime v2 logging, "binary" scheme) with the
// container's stdout on descriptor 3 and stderr on 4, waits until descriptor 5 is closed, and gives
// the URI's query as arguments: file PATH max BYTES, in any order.
//
// The container blocks when nobody reads and dies of SIGPIPE when we are gone, so this neither
// waits for anything else nor stops before both streams have ended. One runs per container: it is
// static and small on purpose.

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <initializer_list>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/log/logger/line_framer.h"

extern "C" char __executable_start;
extern "C" char etext;

namespace {

using wherry::logger::LineFramer;
using wherry::logger::RecordSink;
using wherry::logger::RotatingFile;

constexpr int kStdout = 3;
constexpr int kStderr = 4;
constexpr int kReady = 5;
constexpr int64_t kDefaultMax = 10 * 1024 * 1024;

timespec now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return time;
}

// False at the end of the stream.
bool pump(int fd, LineFramer& framer, RecordSink& sink) {
  const ssize_t got = read(fd, framer.space(), framer.space_size());
  if (got > 0) {
    framer.take(static_cast<size_t>(got), now(), sink);
    return true;
  }
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  framer.finish(now(), sink);
  return false;
}

void run(RecordSink& sink) {
  static LineFramer framers[2] = {LineFramer(false), LineFramer(true)};
  pollfd streams[2] = {{kStdout, POLLIN, 0}, {kStderr, POLLIN, 0}};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    if (poll(streams, 2, -1) < 0) continue;  // EINTR
    for (int i = 0; i < 2; ++i) {
      if (streams[i].fd < 0 || streams[i].revents == 0) continue;
      if (pump(streams[i].fd, framers[i], sink)) continue;
      close(streams[i].fd);
      streams[i].fd = -1;  // poll() skips it
    }
  }
}

// The C library's start-up touched most of the program once; its pages come back when needed.
void forget_start_up() {
  const auto page = static_cast<ptrdiff_t>(sysconf(_SC_PAGESIZE));
  const ptrdiff_t whole_pages = (&etext - &__executable_start) / page * page;
  madvise(&__executable_start, static_cast<size_t>(whole_pages), MADV_DONTNEED);
}

}  // namespace

int main(int argc, char** argv) {
  // The shim sends SIGTERM after it closed its ends, and so may an init system that stops
  // everything: what matters is that the streams have ended, which we see by ourselves.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(signal, &ignore, nullptr);
  }
  const char* path = nullptr;
  int64_t max = kDefaultMax;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "file") == 0) path = argv[i + 1];
    if (strcmp(argv[i], "max") == 0) max = strtoll(argv[i + 1], nullptr, 10);
  }
  if (path == nullptr || path[0] != '/' || strlen(path) > wherry::logger::kMaxPath - 4) {
    static const char kUsage[] =
        "usage: wherry-logger file PATH max BYTES (stdout on 3, stderr on 4, ready on 5)\n";
    static_cast<void>(!write(STDERR_FILENO, kUsage, sizeof kUsage - 1));
    return 2;
  }
  forget_start_up();
  close_range(kReady + 1, ~0U, 0);  // whatever leaked down from who started containerd
  static_cast<void>(!chdir("/"));   // the bundle's directory must stay removable
  static RotatingFile file(path, max);
  file.open();  // where it fails, each record tries again and is counted as lost
  close(kReady);
  RecordSink sink(file);
  run(sink);
  return 0;
}
