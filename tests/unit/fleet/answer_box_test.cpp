#include "agent/fleet/answer_box.h"

#include <gtest/gtest.h>

namespace wherry {
namespace {

CommandAnswer answer(uint64_t ticket, const std::string& topic = "") {
  return {ticket, "r" + std::to_string(ticket), topic, "", "{}"};
}

TEST(AnswerBoxTest, SentAgainInOrderUntilAcknowledged) {
  AnswerBox box;
  EXPECT_TRUE(box.idle());
  for (uint64_t i = 1; i <= 3; ++i) EXPECT_TRUE(box.put(answer(i)));
  const auto first = box.take();
  const auto second = box.take();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(box.acknowledged(first->first), 1u);
  EXPECT_EQ(box.acknowledged(first->first), std::nullopt);
  box.connection_lost();
  EXPECT_EQ(box.take()->second.ticket, 2u);
  const auto third = box.take();
  EXPECT_EQ(third->second.ticket, 3u);
  EXPECT_FALSE(box.take());
  EXPECT_EQ(box.acknowledged(second->first), 2u);
  EXPECT_EQ(box.acknowledged(third->first), 3u);
  EXPECT_TRUE(box.idle());
}

TEST(AnswerBoxTest, IsBoundedByNumberBytesAndWhatIsInFlight) {
  AnswerBox box;
  for (uint64_t i = 1; i <= AnswerBox::kMost; ++i) EXPECT_TRUE(box.put(answer(i)));
  EXPECT_FALSE(box.put(answer(1000)));
  for (size_t i = 0; i < AnswerBox::kMostInFlight; ++i) EXPECT_TRUE(box.take());
  EXPECT_FALSE(box.take());
  AnswerBox large;
  CommandAnswer huge = answer(1);
  huge.payload.resize(2 * AnswerBox::kMostBytes);
  EXPECT_TRUE(large.put(huge)) << "one always fits";
  EXPECT_FALSE(large.put(answer(2)));
  EXPECT_EQ(large.acknowledged(large.take()->first), 1u);
  EXPECT_TRUE(large.put(answer(2)));
}

TEST(AnswerBoxTest, ATopicThatTheBrokerHangsUpForIsGivenUp) {
  AnswerBox box;
  EXPECT_TRUE(box.put(answer(1, "theirs")));
  for (int i = 0; i < AnswerBox::kMostLosses; ++i) {
    EXPECT_EQ(box.take()->second.response_topic, "theirs");
    box.connection_lost();
  }
  EXPECT_EQ(box.take()->second.response_topic, "");
}

TEST(AnswerBoxTest, ATopicThatTheBrokerRefusesIsGivenUp) {
  AnswerBox box;
  EXPECT_TRUE(box.put(answer(1, "theirs")));
  EXPECT_TRUE(box.put(answer(2)));
  const uint64_t first = box.take()->first;
  EXPECT_EQ(box.refused(first), std::nullopt);
  const auto again = box.take();
  EXPECT_EQ(again->first, first);
  EXPECT_EQ(again->second.response_topic, "");
  EXPECT_EQ(box.refused(first), 1u) << "the device's own is refused, too";
  EXPECT_EQ(box.acknowledged(box.take()->first), 2u);
  EXPECT_TRUE(box.idle());
}

}  // namespace
}  // namespace wherry
