// What holds for all requests: the fuzz corpus, every beginning of it, and mutations.

#include <filesystem>
#include <random>

#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/fuzz/rest_invariants.h"

namespace wherry {
namespace {

TEST(RestInput, KeepsTheInvariants) {
  std::mt19937 random(20261126);
  size_t seeds = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(WHERRY_SOURCE_DIR "/tests/fuzz/rest_corpus")) {
    const std::string text = read_file(entry.path()).value();
    ++seeds;
    for (size_t end = 0; end <= text.size(); ++end) {
      ASSERT_EQ(broken_rest(text.substr(0, end)), "") << entry.path() << " cut at " << end;
    }
    for (int round = 0; round < 200; ++round) {
      std::string changed = text;
      for (int i = 0; i < 1 + round % 4; ++i) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      ASSERT_EQ(broken_rest(changed), "") << entry.path() << " round " << round;
    }
  }
  EXPECT_GE(seeds, 20U);
}

}  // namespace
}  // namespace wherry
