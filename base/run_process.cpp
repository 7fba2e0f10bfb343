#include "base/run_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

namespace wherry {
namespace {

constexpr size_t kMaxOutput = 1 << 20;
constexpr size_t kMaxErrors = 4 << 10;

tl::unexpected<Error> fail_errno(const std::string& what, int error) {
  return fail(error == ENOENT ? Code::NotFound : Code::Internal,
              what + ": " + std::strerror(error));
}

// Files in memory instead of pipes: nobody has to pump them, and a grandchild that keeps one open
// cannot make us wait.
struct Files {
  Fd input{memfd_create("in", MFD_CLOEXEC)};
  Fd output{memfd_create("out", MFD_CLOEXEC)};
  Fd errors{memfd_create("err", MFD_CLOEXEC)};
  bool valid() const { return input.valid() && output.valid() && errors.valid(); }
};

std::string content(const Fd& file, size_t max) {
  std::string text;
  char buffer[4096];
  while (text.size() < max) {
    const ssize_t got = pread(file.get(), buffer, std::min(sizeof buffer, max - text.size()),
                              static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

std::string find_program(const std::string& program) {
  if (program.find('/') != std::string::npos) return program;
  for (const std::string& directory : split(kHelperPath, ':')) {
    std::string path = directory + "/" + program;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return program;
}

// The agent handles or blocks signals in its own way; the program starts with the defaults, and in
// a group of its own so that its children can be killed with it.
struct SpawnAttributes {
  posix_spawnattr_t value{};
  SpawnAttributes() {
    posix_spawnattr_init(&value);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&value, &none);
    posix_spawnattr_setsigdefault(&value, &all);
    posix_spawnattr_setpgroup(&value, 0);
    posix_spawnattr_setflags(
        &value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&value); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
};

struct SpawnActions {
  posix_spawn_file_actions_t value{};
  SpawnActions() { posix_spawn_file_actions_init(&value); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&value); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  void place(const Fd& from, int to) { posix_spawn_file_actions_adddup2(&value, from.get(), to); }
};

Result<pid_t> spawn(const ProcessCall& call, const Files& files) {
  const std::string path = find_program(call.program);
  std::vector<std::string> args = {path};
  args.insert(args.end(), call.args.begin(), call.args.end());
  std::vector<std::string> env = call.env;
  env.push_back(std::string("PATH=") + kHelperPath);
  SpawnActions actions;
  actions.place(files.input, STDIN_FILENO);
  actions.place(files.output, STDOUT_FILENO);
  actions.place(files.errors, STDERR_FILENO);
  if (call.held_fd >= 0) posix_spawn_file_actions_adddup2(&actions.value, call.held_fd, 3);
  const SpawnAttributes attributes;
  pid_t pid = 0;
  const int error = posix_spawn(&pid, path.c_str(), &actions.value, &attributes.value,
                                pointers(args).data(), pointers(env).data());
  if (error != 0) return fail_errno("start " + path, error);
  return pid;
}

enum class Ended { Itself, TimedOut, Cancelled };

Ended wait_for_end(int pid_fd, int cancel_fd, Duration deadline) {
  const SystemClock clock;
  const MonoTime end = clock.now() + deadline;
  pollfd fds[2] = {{pid_fd, POLLIN, 0}, {cancel_fd, POLLIN, 0}};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock.now()).count();
    const int ready = poll(fds, 2, static_cast<int>(std::clamp<int64_t>(left, 0, INT32_MAX)));
    if (ready < 0 && errno == EINTR) continue;
    if (fds[0].revents != 0) return Ended::Itself;
    if (fds[1].revents != 0) return Ended::Cancelled;
    if (ready <= 0) return Ended::TimedOut;
  }
}

// Fails where somebody else has it, as the kernel where SIGCHLD is ignored.
Result<int> reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR)
      return fail_errno("learn how process " + std::to_string(pid) + " ended", errno);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

Result<ProcessResult> run_process(const ProcessCall& call, const CancelToken& cancel) {
  if (cancel.cancelled()) return fail(Code::Cancelled, call.program + " is no longer wanted");
  const Files files;
  const Fd cancel_fd(eventfd(0, EFD_CLOEXEC));
  if (!files.valid() || !cancel_fd.valid()) return fail_errno("prepare " + call.program, errno);
  if (pwrite(files.input.get(), call.input.data(), call.input.size(), 0) !=
      static_cast<ssize_t>(call.input.size())) {
    return fail_errno("prepare the input of " + call.program, errno);
  }
  const Result<pid_t> pid = spawn(call, files);
  if (!pid) return fail(pid.error());
  if (call.max_written > 0) {
    // What it writes before this is little.
    const rlimit limit{call.max_written, call.max_written};
    static_cast<void>(prlimit(*pid, RLIMIT_FSIZE, &limit, nullptr));
  }
  const Fd pid_fd(static_cast<int>(syscall(SYS_pidfd_open, *pid, 0)));
  if (!pid_fd.valid()) {
    const int error = errno;
    kill(-*pid, SIGKILL);
    static_cast<void>(reap(*pid));
    return fail_errno("watch " + call.program, error);
  }
  const auto registration = cancel.on_cancel([fd = cancel_fd.get()] {
    const uint64_t one = 1;
    static_cast<void>(!write(fd, &one, sizeof one));
  });
  const Ended ended = wait_for_end(pid_fd.get(), cancel_fd.get(), call.deadline);
  if (ended != Ended::Itself) kill(-*pid, SIGKILL);
  const Result<int> exit_code = reap(*pid);
  if (ended == Ended::Cancelled) return fail(Code::Cancelled, call.program + " was cancelled");
  if (ended == Ended::TimedOut) {
    return fail(Code::DeadlineExceeded,
                call.program + " did not end within " + format_duration(call.deadline));
  }
  if (!exit_code) return fail(exit_code.error(), call.program);
  return ProcessResult{*exit_code, content(files.output, kMaxOutput),
                       content(files.errors, kMaxErrors)};
}

}  // namespace wherry
