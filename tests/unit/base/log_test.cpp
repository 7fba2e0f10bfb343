#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

std::string printed(LogLevel level, std::string_view format,
                    std::string_view message = "a sentence", std::string value = "two words") {
  testing::internal::CaptureStderr();
  log_setup(LogLevel::Debug, format);
  log(level, message, {{"key", std::move(value)}});
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

// What a container says last, or a probe in it, is part of messages.
TEST(Log, NothingBeginsALineOfItsOwn) {
  EXPECT_EQ(printed(LogLevel::Warn, "journald", "it said: a\n<3>fake\r\x1b[2J", "b\x1b[2J"),
            "<4>it said: a\\n<3>fake\\r?[2J key=\"b?[2J\"\n");
}

}  // namespace
}  // namespace wherry
