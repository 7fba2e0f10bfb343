// How long the daemon may read what is on the disk before it answers.

#include <gtest/gtest.h>

#include "runtime/containerd/client.h"

namespace wherry::runtime {
namespace {

using std::chrono::minutes;

TEST(ReadingTime, GrowsWithWhatThereIsToRead) {
  EXPECT_EQ(reading_time(0), Duration::zero());
  EXPECT_LT(reading_time(1 << 20), minutes(1)) << "a daemon that hangs is noticed";
  // What was met: 293 MB at 2 MB/s, twice.
  EXPECT_GT(reading_time(293'000'000), minutes(2 * 293 / 2 / 60));
  EXPECT_GT(reading_time(8'000'000'000), minutes(2 * 8000 / 2 / 60));
}

}  // namespace
}  // namespace wherry::runtime
