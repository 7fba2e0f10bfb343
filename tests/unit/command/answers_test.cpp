#include "agent/command/answers.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace wherry {
namespace {

using nlohmann::json;

TEST(AnswersTest, AreWhatTheContractSays) {
  EXPECT_EQ(answer_with(R"({"a":1})"), R"({"ok":true,"result":{"a":1}})");
  EXPECT_EQ(refusal(Error(Code::NotFound, "no \"x\"\xff")),
            "{\"ok\":false,\"error\":{\"code\":\"NotFound\",\"message\":\"no \\\"x\\\"\uFFFD\"}}");
}

TEST(AnswersTest, ALargeOneIsKeptShortAndSaysSo) {
  const std::string small = answer_with(R"({"text":"abc"})");
  EXPECT_EQ(shortened(small, small.size()), small);
  for (const std::string& text :
       {std::string(100'000, 'x'), std::string(50'000, '\1'), std::string(30'000, '"')}) {
    const std::string whole =
        answer_with(json{{"text", "begin " + text + " end"}, {"truncated", false}}.dump());
    const std::string kept = shortened(whole, 4096);
    EXPECT_LE(kept.size(), 4096u);
    const json answer = json::parse(kept);
    EXPECT_EQ(answer["ok"], true);
    EXPECT_EQ(answer["cut"]["bytes"], whole.size());
    EXPECT_THAT(answer["result"]["text"].get<std::string>(), ::testing::EndsWith(" end"));
    EXPECT_EQ(answer["result"]["truncated"], false);
  }
  // One that is not large by its texts loses all of its result.
  json many = json::array();
  for (int i = 0; i < 5000; ++i) many.push_back(i);
  const json answer = json::parse(shortened(answer_with(json{{"removed", many}}.dump()), 4096));
  EXPECT_TRUE(answer["result"].is_null());
  EXPECT_TRUE(answer.contains("cut"));
}

}  // namespace
}  // namespace wherry
