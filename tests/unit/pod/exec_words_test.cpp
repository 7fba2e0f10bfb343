// Why a program was not started in a container, from the words of OCI runtimes.
#include <gtest/gtest.h>

#include "runtime/pod/container_exec.h"

namespace wherry::runtime {
namespace {

TEST(WhyNotStarted, IsOneSentenceWhereTheProgramIsToBlame) {
  const std::string runc =
      "containerd Tasks/Start: OCI runtime exec failed: exec failed: unable to start container "
      "process: ";
  const std::string none = "the container has no program \"ps\"";
  EXPECT_EQ(
      why_not_started("ps", runc + "exec: \"ps\": executable file not found in $PATH: unknown"),
      none);
  EXPECT_EQ(why_not_started("ps", "executable file `ps` not found in $PATH: No such file"), none);
  EXPECT_EQ(why_not_started("/a/b", runc + "exec: \"/a/b\": stat /a/b: no such file or directory"),
            "the container has no program \"/a/b\"");
  EXPECT_EQ(why_not_started("/etc", runc + "exec: \"/etc\": permission denied: unknown"),
            "\"/etc\" is nothing that the container's user may run");
}

TEST(WhyNotStarted, ElseItIsWhatTheRuntimeSays) {
  for (const char* said : {"chdir to cwd (\"/x\") failed: no such file or directory",
                           "exec: \"other\": executable file not found in $PATH"}) {
    EXPECT_EQ(why_not_started("ps", said), std::string("cannot be started: ") + said);
  }
}

}  // namespace
}  // namespace wherry::runtime
