#include "agent/fleet/topics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry {
namespace {

using ::testing::ElementsAre;
using Kind = InboundTopic::Kind;

Topics pump() { return Topics("wherry/v1", "pump-7", {"pumps", "north"}); }

TEST(TopicsTest, NamesOfWhatIsPublished) {
  EXPECT_EQ(pump().presence(), "wherry/v1/devices/pump-7/presence");
  EXPECT_EQ(pump().reported(), "wherry/v1/devices/pump-7/reported");
  EXPECT_EQ(pump().response("r1"), "wherry/v1/devices/pump-7/responses/r1");
}

TEST(TopicsTest, SubscribesToItsOwnAndItsGroups) {
  EXPECT_THAT(pump().subscriptions(),
              ElementsAre("wherry/v1/devices/pump-7/desired", "wherry/v1/devices/pump-7/commands/+",
                          "wherry/v1/groups/pumps/desired", "wherry/v1/groups/pumps/commands/+",
                          "wherry/v1/groups/north/desired", "wherry/v1/groups/north/commands/+"));
}

TEST(TopicsTest, PrefixMayEndInSlashesOrBeEmpty) {
  EXPECT_EQ(Topics("a/b//", "d", {}).presence(), "a/b/devices/d/presence");
  EXPECT_EQ(Topics("", "d", {}).presence(), "devices/d/presence");
}

TEST(TopicsTest, EveryTopicHasItsClass) {
  const Topics topics = pump();
  const auto of = [&](const std::string& topic) {
    return std::string(to_string(topics.class_of("wherry/v1/" + topic)));
  };
  for (const char* name : {"desired", "presence", "reported", "events", "telemetry"}) {
    EXPECT_EQ(of(std::string("devices/pump-7/") + name), name);
  }
  EXPECT_EQ(of("groups/north/desired"), "desired");
  EXPECT_EQ(of("groups/north/commands/7"), "commands");
  EXPECT_EQ(of("devices/pump-7/responses/7"), "responses");
  EXPECT_EQ(of("devices/pump-7/logs/web/nginx"), "logs");
  EXPECT_EQ(of("devices/pump-7/data/web/temps"), "data");
  for (const char* other : {"devices/pump-7", "devices/pump-70/events", "groups/south/desired",
                            "devices/pump-7/other2", "devices/pump-7/"}) {
    EXPECT_EQ(of(other), "other") << other;
  }
}

TEST(TopicsTest, TrafficIsCountedByClass) {
  Traffic traffic;
  traffic.count_sent(TopicClass::Events, 10);
  traffic.count_sent(TopicClass::Events, 5);
  traffic.count_received(TopicClass::Desired, 7);
  EXPECT_EQ(traffic.sent(TopicClass::Events).messages, 2U);
  EXPECT_EQ(traffic.sent(TopicClass::Events).bytes, 15U);
  EXPECT_EQ(traffic.received(TopicClass::Events).messages, 0U);
  EXPECT_EQ(traffic.sent_bytes(), 15U);
  EXPECT_EQ(traffic.received_bytes(), 7U);
}

TEST(TopicsTest, ParsesWhatIsMeantForTheDevice) {
  const auto own = pump().parse("wherry/v1/devices/pump-7/desired");
  ASSERT_TRUE(own);
  EXPECT_EQ(own->kind, Kind::Desired);
  EXPECT_EQ(own->source, "devices/pump-7");
  const auto command = pump().parse("wherry/v1/groups/north/commands/42");
  ASSERT_TRUE(command);
  EXPECT_EQ(command->kind, Kind::Command);
  EXPECT_EQ(command->source, "groups/north");
  EXPECT_EQ(command->request, "42");
}

// The wildcard of the subscription stands for an empty id, too.
TEST(TopicsTest, ACommandWithoutAnIdIsOneAllTheSame) {
  for (const char* source : {"devices/pump-7", "groups/north"}) {
    const auto command = pump().parse(std::string("wherry/v1/") + source + "/commands/");
    ASSERT_TRUE(command) << source;
    EXPECT_EQ(command->kind, Kind::Command);
    EXPECT_EQ(command->source, source);
    EXPECT_EQ(command->request, "");
  }
}

TEST(TopicsTest, OtherTopicsAreNotItsBusiness) {
  for (const char* topic :
       {"", "wherry/v1", "wherry/v1/devices/pump-70/desired", "wherry/v1/devices/pump-/desired",
        "wherry/v1/groups/south/desired", "wherry/v1/devices/pump-7/desired/x",
        "wherry/v1/devices/pump-7/commands", "wherry/v1/devices/pump-7/commands/a/b",
        "wherry/v1/devices/pump-7/reported", "other/v1/devices/pump-7/desired"}) {
    EXPECT_FALSE(pump().parse(topic)) << topic;
  }
}

TEST(TopicsTest, StaleFilterIsTheOneThatLetTheTopicThrough) {
  EXPECT_EQ(stale_filter("w/groups/old/desired"), "w/groups/old/desired");
  EXPECT_EQ(stale_filter("w/groups/old/commands/7"), "w/groups/old/commands/+");
  EXPECT_EQ(stale_filter("x"), "x");
}

TEST(TopicsTest, AnswersGoToWhatIsATopicAndNotTheBrokersOwn) {
  EXPECT_TRUE(is_response_topic("a/b c/ü"));
  EXPECT_FALSE(is_response_topic(""));
  EXPECT_FALSE(is_response_topic("a/+"));
  EXPECT_FALSE(is_response_topic("a/#"));
  EXPECT_FALSE(is_response_topic(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_response_topic("\xff"));
  EXPECT_FALSE(is_response_topic(std::string(65536, 'a')));
  EXPECT_FALSE(is_response_topic("$SYS/a"));
  EXPECT_FALSE(is_response_topic("a\nb"));
  std::string deep = "a";
  for (int i = 0; i < 300; ++i) deep += "/a";
  EXPECT_FALSE(is_response_topic(deep));
}

}  // namespace
}  // namespace wherry
