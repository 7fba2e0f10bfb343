#include "base/memory.h"

#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace wherry::test {
namespace {

// KiB of program code that this process has mapped in.
long mapped_code() {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool code = false;
  long sum = 0;
  while (std::getline(maps, line)) {
    std::istringstream words(line);
    std::string first, second;
    words >> first >> second;
    if (!first.ends_with(':')) code = second == "r-xp" && line.find('/') != std::string::npos;
    if (code && first == "Rss:") sum += std::stol(second);
  }
  return sum;
}

TEST(ReleaseUnusedMemory, CodeThatIsNotRunLeavesMemoryAndComesBackWhenItIs) {
  const long before = mapped_code();
  release_unused_memory();
  const long after = mapped_code();
  EXPECT_GT(before, 0);
  EXPECT_LT(after, before / 2) << "of " << before << " KiB";
  EXPECT_EQ(std::stol("42"), 42);
}

}  // namespace
}  // namespace wherry::test
