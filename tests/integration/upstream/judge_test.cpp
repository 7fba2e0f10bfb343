// The judge of the soak test must see what it is there to see.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/stream_judge.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kStream = "data/pump/s";

class JudgeTest : public testing::Test {
 protected:
  void batch(uint64_t first, const std::vector<uint32_t>& records, uint64_t dropped = 0,
             const std::string& epoch = "e") {
    json text = {{"stream", kStream}, {"epoch", epoch}, {"first", first}};
    text["records"] = json::array();
    for (const uint32_t n : records) text["records"].push_back({{"at", "x"}, {"n", n}});
    if (dropped > 0)
      text["dropped"] = {{"from", first - dropped}, {"count", dropped}, {"reason", "QueueFull"}};
    MqttMessage message;
    message.topic = std::string("w/devices/d/") + kStream;
    message.payload = text.dump();
    judge_.take(message, "w/devices/d");
  }
  std::vector<std::string> problems() { return judge_.verdict().problems; }
  StreamJudge judge_;
};

TEST_F(JudgeTest, RepeatsAndAnnouncedDropsAreFine) {
  batch(1, {1, 2});
  batch(2, {2, 3});
  batch(6, {6}, 2);
  batch(7, {6, 7});  // a producer that heard no answer
  EXPECT_THAT(problems(), IsEmpty());
  const StreamJudge::Verdict verdict = judge_.verdict();
  EXPECT_EQ(verdict.records, 6U);
  EXPECT_EQ(verdict.dropped, 2U);
  EXPECT_EQ(verdict.repeats, 1U);
  EXPECT_TRUE(judge_.has(kStream, 7));
  EXPECT_FALSE(judge_.has(kStream, 8));
  EXPECT_THAT(judge_.compare({{kStream, 1, 3, 1}, {kStream, 4, 2, 4}, {kStream, 7, 2, 6}}),
              IsEmpty());
}

TEST_F(JudgeTest, AHoleIsSeen) {
  batch(1, {1, 2});
  batch(4, {4});
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("a hole: number 3")));
}

TEST_F(JudgeTest, AMissingBeginningIsSeen) {
  batch(2, {2});
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("a hole: number 1")));
}

TEST_F(JudgeTest, AnotherOrderIsSeen) {
  batch(1, {1, 3, 2});
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("record 3 came after 1")));
}

TEST_F(JudgeTest, AnotherRecordOfTheSameNumberIsSeen) {
  batch(1, {1, 2});
  batch(1, {1, 1});
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("number 2 came with another record")));
}

TEST_F(JudgeTest, ADropThatDoesNotFitIsSeen) {
  batch(1, {1});
  batch(9, {9}, 3);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("a hole: number 2")));
}

TEST_F(JudgeTest, ALostQueueIsSeen) {
  batch(1, {1});
  batch(1, {2}, 0, "f");
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("another epoch")));
}

TEST_F(JudgeTest, WhatWasPromisedAndIsNotThereIsSeen) {
  batch(1, {1, 2});
  EXPECT_THAT(judge_.compare({{kStream, 1, 2, 1}, {kStream, 3, 1, 3}}),
              ElementsAre(HasSubstr("accepted as number 3 and never came")));
  EXPECT_THAT(judge_.compare({{kStream, 2, 1, 1}}), ElementsAre(HasSubstr("where another is")));
}

}  // namespace
}  // namespace wherry::test
