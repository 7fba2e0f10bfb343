// The program as containerd's shim runs it: stdout on 3, stderr on 4, ready on 5.

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"

namespace {

using testing::HasSubstr;

struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == 0) read = ends[0], write = ends[1];
  }
  ~Pipe() { close_read(), close_write(); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_read() {
    if (read >= 0) close(read);
    read = -1;
  }
  void close_write() {
    if (write >= 0) close(write);
    write = -1;
  }
};

class LoggerProgram : public testing::Test {
 protected:
  LoggerProgram() {
    char name[] = "/tmp/wherry-logger-XXXXXX";
    dir = mkdtemp(name);
    program = std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() /
              "bin/wherry-logger";
  }
  ~LoggerProgram() override {
    out.close_write();
    err.close_write();
    if (pid > 0) waitpid(pid, nullptr, 0);
    static_cast<void>(wherry::remove_tree(dir));
  }

  void start(const std::string& file) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // First out of the way of 3, 4 and 5.
    posix_spawn_file_actions_adddup2(&actions, out.read, 103);
    posix_spawn_file_actions_adddup2(&actions, err.read, 104);
    posix_spawn_file_actions_adddup2(&actions, ready.write, 105);
    for (const int fd : {3, 4, 5}) {
      posix_spawn_file_actions_adddup2(&actions, fd + 100, fd);
      posix_spawn_file_actions_addclose(&actions, fd + 100);
    }
    std::string max = "200000";
    char* argv[] = {program.data(),
                    const_cast<char*>("max"),
                    max.data(),
                    const_cast<char*>("file"),
                    const_cast<char*>(file.c_str()),
                    nullptr};
    char* env[] = {nullptr};
    ASSERT_EQ(posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, env), 0);
    posix_spawn_file_actions_destroy(&actions);
    out.close_read();
    err.close_read();
    ready.close_write();
    char byte = 0;
    ASSERT_EQ(read(ready.read, &byte, 1), 0);  // closed, not written to
  }
  void say(const Pipe& stream, const std::string& text) const {
    ASSERT_EQ(write(stream.write, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  int wait_exit() {
    int status = 0;
    waitpid(pid, &status, 0);
    pid = 0;
    return status;
  }
  // Until the file holds `text`: the program writes it in its own time.
  bool eventually_holds(const std::string& file, const std::string& text) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < deadline) {
      if (wherry::read_file(file).value_or("").find(text) != std::string::npos) return true;
      poll(nullptr, 0, 2);
    }
    return false;
  }

  std::string dir;
  std::string program;
  Pipe out, err, ready;
  pid_t pid = 0;
};

TEST_F(LoggerProgram, WritesBothStreamsUntilBothHaveEnded) {
  start(dir + "/main.log");
  say(out, "hello\n");
  EXPECT_TRUE(eventually_holds(dir + "/main.log", "Z stdout F hello\n"));
  out.close_write();
  say(err, "oops");
  err.close_write();
  EXPECT_EQ(wait_exit(), 0);
  EXPECT_THAT(*wherry::read_file(dir + "/main.log"), HasSubstr("Z stderr F oops\n"));
}

TEST_F(LoggerProgram, SignalsDoNotStopItWhileTheContainerRuns) {
  start(dir + "/main.log");
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) kill(pid, signal);
  say(out, "still here\n");
  EXPECT_TRUE(eventually_holds(dir + "/main.log", "stdout F still here\n"));
  EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), 0);
  out.close_write();
  err.close_write();
  EXPECT_EQ(wait_exit(), 0);
}

TEST_F(LoggerProgram, TheContainerNeverBlocksForALogThatCannotBeWritten) {
  start(dir + "/no/such/directory/main.log");
  const std::string line(1000, 'x');
  for (int i = 0; i < 1000; ++i) say(out, line + "\n");  // far more than a pipe holds
  out.close_write();
  err.close_write();
  EXPECT_EQ(wait_exit(), 0);
}

TEST_F(LoggerProgram, LeavesTheBundleDirectory) {
  start(dir + "/main.log");
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd"), "/");
}

}  // namespace
