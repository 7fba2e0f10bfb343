#include "base/run_process.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"

namespace wherry {
namespace {

using testing::HasSubstr;

ProcessCall shell(const std::string& script) {
  ProcessCall call;
  call.program = "sh";
  call.args = {"-c", script};
  return call;
}

// Until no process of that group is left.
bool group_ends(pid_t group) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < deadline) {
    if (kill(-group, 0) != 0 && errno == ESRCH) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(RunProcess, GivesInputAndTakesOutput) {
  ProcessCall call = shell("cat; echo \"$GREETING\" >&2; exit 3");
  call.input = "hello";
  call.env = {"GREETING=hi"};
  const auto done = run_process(call, {});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->exit_code, 3);
  EXPECT_EQ(done->output, "hello");
  EXPECT_EQ(done->errors, "hi\n");
}

TEST(RunProcess, PassesNothingButTheEnvironmentGiven) {
  setenv("SECRET_OF_THE_AGENT", "x", 1);
  const auto done = run_process(shell("env"), {});
  ASSERT_TRUE(done);
  EXPECT_THAT(done->output, HasSubstr("PATH=/usr/local/sbin:"));
  EXPECT_THAT(done->output, testing::Not(HasSubstr("SECRET_OF_THE_AGENT")));
}

TEST(RunProcess, WhoseEndNobodyCanTellHasNotSucceeded) {
  struct sigaction ignored {
  }, before{};
  ignored.sa_handler = SIG_IGN;  // then the kernel forgets how a child ended
  sigaction(SIGCHLD, &ignored, &before);
  const auto done = run_process(shell("sleep 0.1; exit 3"), {});
  sigaction(SIGCHLD, &before, nullptr);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().full(), HasSubstr("sh: "));
}

TEST(RunProcess, TakesMoreThanAPipeHolds) {
  ProcessCall call = shell("cat; cat </dev/zero | head -c 3000000");
  call.input = std::string(500'000, 'x');
  const auto done = run_process(call, {});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->output.size(), 1U << 20);
  EXPECT_EQ(done->output.substr(0, 500'000), call.input);
}

TEST(RunProcess, SaysWhenThereIsNoSuchProgram) {
  ProcessCall call;
  call.program = "/no/such/program";
  EXPECT_EQ(run_process(call, {}).error().code(), Code::NotFound);
}

TEST(RunProcess, ReportsASignalAsShellsDo) {
  EXPECT_EQ(run_process(shell("kill -9 $$"), {})->exit_code, 137);
}

TEST(RunProcess, KillsItAndItsChildrenAtTheDeadline) {
  ProcessCall call = shell("echo $$ >\"$OUT\"; sleep 1000 & sleep 1000");
  char name[] = "/tmp/wherry-process-XXXXXX";
  const Fd file(mkstemp(name));
  call.env = {std::string("OUT=") + name};
  call.deadline = std::chrono::milliseconds(300);
  const auto done = run_process(call, {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Code::DeadlineExceeded);
  char pid[16] = {};
  ASSERT_GT(read(file.get(), pid, sizeof pid - 1), 0);
  EXPECT_TRUE(group_ends(atoi(pid)));
  unlink(name);
}

TEST(RunProcess, KillsItWhenCancelled) {
  CancelToken cancel;
  std::thread canceller([&] { cancel.cancel(); });
  const auto done = run_process(shell("sleep 1000"), cancel);
  canceller.join();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Code::Cancelled);
  EXPECT_EQ(run_process(shell("true"), cancel).error().code(), Code::Cancelled);
}

TEST(RunProcess, EndsItWhenItWritesWithoutEnd) {
  ProcessCall call = shell("exec cat /dev/zero");
  call.max_written = 100'000;
  const auto done = run_process(call, {});
  ASSERT_TRUE(done) << done.error().full();
  EXPECT_EQ(done->exit_code, 128 + SIGXFSZ);
}

TEST(RunProcess, AChildLeftBehindHoldsTheLockButNotUs) {
  char name[] = "/tmp/wherry-process-XXXXXX";
  const Fd first(mkstemp(name));
  std::optional<Fd> lock(open(name, O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(lock->get(), LOCK_EX), 0);
  ProcessCall call = shell("sleep 1000 & echo $!");
  call.held_fd = lock->get();
  const auto done = run_process(call, {});  // at once, although the sleeper has our output open
  ASSERT_TRUE(done);
  const pid_t sleeper = atoi(done->output.c_str());
  ASSERT_GT(sleeper, 0);
  lock.reset();
  EXPECT_NE(flock(first.get(), LOCK_EX | LOCK_NB), 0);
  kill(sleeper, SIGKILL);
  EXPECT_EQ(flock(first.get(), LOCK_EX), 0);
  unlink(name);
}

}  // namespace
}  // namespace wherry
