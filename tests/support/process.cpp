#include "tests/support/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/run_process.h"
#include "base/text.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

int open_output(const std::string& path, const char* name) {
  const int fd = path.empty() ? memfd_create(name, MFD_CLOEXEC)
                              : open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) throw std::runtime_error("open output of process " + path);
  return fd;
}

std::string read_all(int fd) {
  if (fd < 0) return {};
  struct stat info {};
  fstat(fd, &info);
  std::string text(static_cast<size_t>(info.st_size), '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

std::vector<std::string> environment(std::map<std::string, std::string> wanted) {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t end = text.find('=');
    if (end != std::string::npos) wanted.emplace(text.substr(0, end), text.substr(end + 1));
  }
  std::vector<std::string> all;
  for (const auto& [name, value] : wanted) all.push_back(name + "=" + value);
  return all;
}

}  // namespace

// What exec takes, made before there is a child.
struct Process::Prepared {
  std::vector<char*> argv;
  std::vector<char*> env;
};

Process::Process(ProcessOptions options) : options_(std::move(options)) {
  open_standard_descriptors();  // of which the child gets others
  out_fd_ = open_output(options_.output_path, "stdout");
  err_fd_ = options_.output_path.empty() ? open_output("", "stderr") : out_fd_;
  int error_pipe[2];  // closed by a successful exec, otherwise carries errno
  if (pipe2(error_pipe, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  std::vector<std::string> env = environment(options_.env);
  const Prepared prepared{pointers(options_.argv), pointers(env)};
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) run_child(prepared, error_pipe[1], parent);
  close(error_pipe[1]);
  int error = errno;
  const bool failed = pid_ < 0 || read(error_pipe[0], &error, sizeof error) > 0;
  close(error_pipe[0]);
  if (failed) {
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    throw std::runtime_error("execute " + options_.argv.at(0) + ": " + std::strerror(error));
  }
  pid_fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (pid_fd_ >= 0) fcntl(pid_fd_, F_SETFD, FD_CLOEXEC);
}

// The calling process has other threads, which may hold any lock, the allocator's too: between fork
// and exec there is nothing but system calls.
void Process::run_child(const Prepared& prepared, int error_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  const int input = options_.stdin_fd >= 0 ? options_.stdin_fd : open("/dev/null", O_RDONLY);
  dup2(input, 0);
  dup2(out_fd_, 1);
  dup2(err_fd_, 2);
  if (options_.working_dir.empty() || chdir(options_.working_dir.c_str()) == 0)
    execvpe(prepared.argv[0], prepared.argv.data(), prepared.env.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t told = write(error_fd, &error, sizeof error);
  _exit(127);
}

Process::~Process() {
  kill();
  if (err_fd_ != out_fd_) close_fd(err_fd_);
  close_fd(out_fd_);
  close_fd(pid_fd_);
}

bool Process::running() { return !wait(Millis{0}); }

std::optional<int> Process::wait(Millis timeout) {
  if (status_) return status_;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left = std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now());
    pollfd poll_fd{pid_fd_, POLLIN, 0};
    const int ready = poll(&poll_fd, 1, static_cast<int>(std::max(left.count(), Millis::rep{0})));
    if (ready < 0 && errno == EINTR) continue;
    int raw = 0;
    const pid_t reaped = waitpid(pid_, &raw, WNOHANG);
    if (reaped == pid_) {
      status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
      return status_;
    }
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
  }
}

void Process::signal(int number) {
  if (!status_) ::kill(pid_, number);
}

int Process::terminate(Millis grace) {
  signal(SIGTERM);
  if (const auto status = wait(grace)) return *status;
  return kill();
}

int Process::kill() {
  signal(SIGKILL);
  return wait(Millis{60'000}).value_or(128 + SIGKILL);
}

std::string Process::out() const {
  return options_.output_path.empty() ? read_all(out_fd_) : read_text(options_.output_path);
}
std::string Process::err() const {
  return options_.output_path.empty() ? read_all(err_fd_) : std::string();
}
std::string Process::output() const { return out() + err(); }

CommandResult run_command(std::vector<std::string> argv, Millis timeout) {
  ProcessOptions options;
  options.argv = std::move(argv);
  Process process(std::move(options));
  CommandResult result;
  result.exit_code = process.wait(timeout).value_or(124);
  process.kill();
  result.out = process.out();
  result.err = process.err();
  return result;
}

std::string run_ok(std::vector<std::string> argv, Millis timeout) {
  const std::string shown = join(argv, " ");
  CommandResult result = run_command(std::move(argv), timeout);
  if (result.exit_code != 0) {
    throw std::runtime_error(shown + " exited with " + std::to_string(result.exit_code) + ": " +
                             result.out + result.err);
  }
  return std::move(result.out);
}

}  // namespace wherry::test
