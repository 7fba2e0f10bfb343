#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

std::string printed(LogLevel level, std::string_view format) {
  testing::internal::CaptureStderr();
  log_setup(LogLevel::Debug, format);
  log(level, "a sentence", {{"key", "two words"}});
  return testing::internal::GetCapturedStderr();
}

TEST(Log, TextHasTimeAndTheLevelAsAWholeWord) {
  EXPECT_THAT(printed(LogLevel::Warn, "text"),
              MatchesRegex("[0-9T:.+-]+ warn  a sentence key=\"two words\"\n"));
  EXPECT_THAT(printed(LogLevel::Error, "text"), HasSubstr(" error a sentence"));
  EXPECT_THAT(printed(LogLevel::Info, "text"), HasSubstr(" info  a sentence"));
  EXPECT_THAT(printed(LogLevel::Debug, "text"), HasSubstr(" debug a sentence"));
}

TEST(Log, TheJournalGetsPrioritiesAndNoTime) {
  EXPECT_EQ(printed(LogLevel::Warn, "journald"), "<4>a sentence key=\"two words\"\n");
  EXPECT_THAT(printed(LogLevel::Error, "journald"), StartsWith("<3>"));
}

}  // namespace
}  // namespace wherry
