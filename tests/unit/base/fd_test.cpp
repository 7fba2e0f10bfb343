#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gtest/gtest.h>

namespace wherry {
namespace {

bool is_dev_null(int fd) {
  struct stat there {
  }, null{};
  return fstat(fd, &there) == 0 && stat("/dev/null", &null) == 0 && there.st_rdev == null.st_rdev &&
         there.st_ino == null.st_ino;
}

// What of `closed` is open afterwards, and what is as it was, in a process of its own.
bool opens(std::initializer_list<int> closed) {
  const pid_t child = fork();
  if (child == 0) {
    struct stat before {
    }, after{};
    fstat(STDERR_FILENO, &before);
    for (const int fd : closed) close(fd);
    open_standard_descriptors();
    bool good = true;
    bool errors_closed = false;
    for (const int fd : closed) {
      good = good && is_dev_null(fd);
      errors_closed = errors_closed || fd == STDERR_FILENO;
    }
    if (!errors_closed) {
      good = good && fstat(STDERR_FILENO, &after) == 0 && before.st_ino == after.st_ino;
    }
    _exit(good ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(StandardDescriptors, TheClosedOnesAreOpenedAndTheOthersStay) {
  EXPECT_TRUE(opens({}));
  EXPECT_TRUE(opens({0}));
  EXPECT_TRUE(opens({1}));
  EXPECT_TRUE(opens({0, 1, 2}));
}

TEST(StandardDescriptors, NothingElseStaysOpen) {
  const Fd before(open("/dev/null", O_RDONLY));
  open_standard_descriptors();
  const Fd after(open("/dev/null", O_RDONLY));
  EXPECT_EQ(after.get(), before.get() + 1);
}

}  // namespace
}  // namespace wherry
