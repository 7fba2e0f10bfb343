// What a line looks like on its way up.

#include "agent/forward/log_record.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace wherry {
namespace {

using nlohmann::json;

constexpr std::string_view kTime = "2026-09-21T14:13:20.000000001Z";

TEST(LogRecord, HasTimeStreamAndMessage) {
  EXPECT_EQ(
      log_record({kTime, "said \"hi\"\t\\", false, false}),
      R"({"at":"2026-09-21T14:13:20.000000001Z","stream":"stdout","message":"said \"hi\"\t\\"})");
  EXPECT_EQ(json::parse(log_record({kTime, "", true, false}))["stream"], "stderr");
}

TEST(LogRecord, SaysWhatIsNoUtf8) {
  const json record = json::parse(log_record({kTime, "a\xff\xc3", false, false}));
  EXPECT_EQ(record["message"], "a\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(record["invalidUtf8"], true);
  EXPECT_FALSE(record.contains("cut"));
}

TEST(LogRecord, IsCutBetweenCharacters) {
  for (const std::string& text :
       {std::string("gr\xc3\xbc\xc3"), std::string("gr\xc3\xbc\xe2\x82"),
        std::string("gr\xc3\xbc\xf0\x9f\x92"), std::string("gr\xc3\xbc")}) {
    const json record = json::parse(log_record({kTime, text, false, true}));
    EXPECT_EQ(record["message"], "gr\xc3\xbc");
    EXPECT_EQ(record["cut"], true);
    EXPECT_FALSE(record.contains("invalidUtf8"));
  }
}

TEST(LogRecord, IsNeverLargerThanAQueueTakes) {
  for (const char byte : {'\0', '"', '\xff', 'a'}) {
    const std::string record = log_record({kTime, std::string(16 << 10, byte), false, false});
    EXPECT_LE(record.size(), kMostLogRecord);
    const json parsed = json::parse(record);
    EXPECT_EQ(parsed.contains("cut"), byte == '\0' || byte == '"' || byte == '\xff')
        << record.size();
    EXPECT_GT(parsed["message"].get<std::string>().size(), 3000U);
  }
}

}  // namespace
}  // namespace wherry
