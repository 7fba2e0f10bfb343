#pragma once
// Child processes that never outlive the test, not even one that is killed.

#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "tests/support/wait.h"

namespace wherry::test {

struct ProcessOptions {
  std::vector<std::string> argv;           // argv[0] is looked up in PATH
  std::map<std::string, std::string> env;  // added to, or replacing in, the environment
  std::string output_path;  // stdout and stderr are appended here; empty: captured apart, see below
  std::string working_dir;
  int stdin_fd = -1;  // -1: /dev/null. Not taken over.
};

// Dies with the *thread* that made it (PR_SET_PDEATHSIG): make long-lived ones on the main thread.
class Process {
 public:
  // Throws std::runtime_error when the program cannot be executed.
  explicit Process(ProcessOptions options);
  ~Process();  // kill -9, and waits
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  // The exit code, or 128 + signal; nothing when it still runs after `timeout`.
  std::optional<int> wait(Millis timeout = kPatience);
  void signal(int number);
  // SIGTERM, then SIGKILL after `grace`. The exit status as wait() gives it.
  int terminate(Millis grace = Millis{10'000});
  int kill();

  std::string out() const;     // stdout so far
  std::string err() const;     // stderr so far
  std::string output() const;  // output_path's content, or stdout followed by stderr

 private:
  struct Prepared;
  [[noreturn]] void run_child(const Prepared& prepared, int error_fd, pid_t parent);

  ProcessOptions options_;
  int out_fd_ = -1;
  int err_fd_ = -1;
  int pid_fd_ = -1;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

struct CommandResult {
  int exit_code = -1;  // 128 + signal when killed; 124 after the timeout, like timeout(1)
  std::string out;
  std::string err;
};
CommandResult run_command(std::vector<std::string> argv, Millis timeout = kPatience);
// Throws std::runtime_error with the command's output unless it exits with 0.
std::string run_ok(std::vector<std::string> argv, Millis timeout = kPatience);

}  // namespace wherry::test
