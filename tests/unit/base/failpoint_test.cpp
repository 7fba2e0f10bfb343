#include "base/failpoint.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/text.h"

namespace wherry {
namespace {

class Failpoint : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const char* name :
         {"WHERRY_FAILPOINTS", "WHERRY_FAILPOINT_LOG", "WHERRY_FAILPOINT_RESUME"}) {
      unsetenv(name);
    }
    failpoints_from_environment();
    EXPECT_TRUE(remove_tree(directory_));
  }
  std::string path(const std::string& name) {
    EXPECT_TRUE(make_directories(directory_));
    return directory_ + "/" + name;
  }

 private:
  std::string directory_ = ::testing::TempDir() + "failpoint-" + random_hex(8);
};

TEST_F(Failpoint, DoesNothingUnarmed) { EXPECT_TRUE(failpoint("anything")); }

TEST_F(Failpoint, ErrorsEveryTimeOrOnTheOneAskedFor) {
  failpoints_arm("a=error,b=error@2");
  EXPECT_EQ(failpoint("a").error().code(), Code::Internal);
  EXPECT_FALSE(failpoint("a"));
  EXPECT_TRUE(failpoint("b"));
  EXPECT_FALSE(failpoint("b"));
  EXPECT_TRUE(failpoint("b"));
  EXPECT_TRUE(failpoint("c"));
  failpoints_arm("");
  EXPECT_TRUE(failpoint("a"));
}

// A child, so that only it dies. Returns its wait status.
int in_child(const std::string& spec, int times) {
  const pid_t child = fork();
  if (child == 0) {
    failpoints_arm(spec);
    for (int i = 0; i < times; ++i) {
      if (!failpoint("step")) _exit(3);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(Failpoint, KillsTheProcess) {
  const int first = in_child("step=kill", 1);
  EXPECT_TRUE(WIFSIGNALED(first) && WTERMSIG(first) == SIGKILL);
  const int third = in_child("step=kill@3", 3);
  EXPECT_TRUE(WIFSIGNALED(third) && WTERMSIG(third) == SIGKILL);
  const int second = in_child("step=kill@3", 2);
  EXPECT_TRUE(WIFEXITED(second) && WEXITSTATUS(second) == 0);
}

TEST_F(Failpoint, LogsEveryNameOnce) {
  setenv("WHERRY_FAILPOINT_LOG", path("log").c_str(), 1);
  failpoints_from_environment();
  for (const char* name : {"one", "two", "one"}) EXPECT_TRUE(failpoint(name));
  EXPECT_EQ(*read_file(path("log")), "one\ntwo\n");
}

TEST_F(Failpoint, PausesUntilTheResumeFileExists) {
  setenv("WHERRY_FAILPOINTS", "step=pause", 1);
  setenv("WHERRY_FAILPOINT_RESUME", path("resume").c_str(), 1);
  setenv("WHERRY_FAILPOINT_LOG", path("log").c_str(), 1);
  failpoints_from_environment();
  std::atomic<bool> passed{false};
  std::thread step([&] {
    EXPECT_TRUE(failpoint("step"));
    passed = true;
  });
  while (access(path("log").c_str(), F_OK) != 0) std::this_thread::yield();
  EXPECT_FALSE(passed);
  EXPECT_TRUE(write_file_atomic(path("resume"), ""));
  step.join();
  EXPECT_TRUE(passed);
}

}  // namespace
}  // namespace wherry
