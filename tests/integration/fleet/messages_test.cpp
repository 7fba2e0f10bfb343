// What the link says and hears, with both protocol versions, against a real Mosquitto.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "agent/manifest/document.h"
#include "base/text.h"
#include "tests/integration/fleet/link_fixture.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/mqtt_client.h"

namespace wherry::test {
namespace {

const std::string kOwn = "wherry/v1/devices/dev-1/";

bool is_presence(const MqttMessage& message, const std::string& state) {
  return message.topic == kOwn + "presence" &&
         nlohmann::json::parse(message.payload)["state"] == state;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class MessagesTest : public ::testing::TestWithParam<int> {
 protected:
  FleetOptions options() const { return link_options({broker_.url()}, GetParam()); }

  MosquittoBroker broker_;
};
INSTANTIATE_TEST_SUITE_P(Versions, MessagesTest, ::testing::Values(5, 4),
                         [](const auto& test) { return test.param == 5 ? "V5" : "V311"; });

TEST_P(MessagesTest, DesiredArrivesWhetherRetainedOrFresh) {
  MqttClient manager(broker_.port());
  manager.publish_retained(kOwn + "desired", "own 1");
  manager.publish_retained("wherry/v1/groups/pumps/desired", "group 1");
  manager.publish_retained("wherry/v1/groups/other/desired", "not ours");
  FleetOptions with_group = options();
  with_group.groups = {"pumps"};
  TestLink link(with_group);
  EXPECT_TRUE(link.wait_desired("devices/dev-1", "own 1"));
  EXPECT_TRUE(link.wait_desired("groups/pumps", "group 1"));
  manager.publish_retained(kOwn + "desired", "own 2");
  manager.publish_retained("wherry/v1/groups/pumps/desired", "");
  EXPECT_TRUE(link.wait_desired("devices/dev-1", "own 2"));
  EXPECT_TRUE(link.wait_desired("groups/pumps", ""));
  for (const DesiredMessage& message : link.desired()) EXPECT_NE(message.payload, "not ours");
}

TEST_P(MessagesTest, PresenceSaysOnlineAndOfflineAfterAStop) {
  MqttClient manager(broker_.port());
  manager.subscribe(kOwn + "presence");
  TestLink link(options());
  const auto online = manager.wait_for([](const auto& m) { return is_presence(m, "online"); });
  ASSERT_TRUE(online);
  const auto json = nlohmann::json::parse(online->payload);
  EXPECT_EQ(json["boot"], "boot-1");
  EXPECT_TRUE(parse_rfc3339(json["at"].get<std::string>()));
  EXPECT_EQ(online->qos, 1);
  if (GetParam() == 5) {
    EXPECT_EQ(online->content_type, "application/json");
  }

  link->stop(std::chrono::seconds(20));
  EXPECT_TRUE(manager.wait_for([](const auto& m) { return is_presence(m, "offline"); }));
  EXPECT_FALSE(link->status().connected);
  EXPECT_EQ(link->status().reason, "Stopped");
  // An orderly leave: the broker must not send the will as well.
  EXPECT_TRUE(
      wait_until([&] { return count(broker_.log(), "Received DISCONNECT from dev-1") == 1; }));
  MqttClient late(broker_.port());
  late.subscribe(kOwn + "presence");
  EXPECT_TRUE(late.wait_for([](const auto& m) { return m.retained && is_presence(m, "offline"); }));
}

TEST_P(MessagesTest, ReportedIsRetained) {
  TestLink link(options());
  link->publish_reported(R"({"n":1})");
  MqttClient manager(broker_.port());
  manager.subscribe(kOwn + "reported");
  const auto reported = manager.wait_for([](const auto& m) { return m.payload == R"({"n":1})"; });
  ASSERT_TRUE(reported);
  if (GetParam() == 5) {
    EXPECT_EQ(reported->content_type, "application/json");
  }
  MqttClient late(broker_.port());
  late.subscribe(kOwn + "reported");
  EXPECT_TRUE(late.wait_for([](const auto& m) { return m.retained && m.payload == R"({"n":1})"; }));
}

// MQTT 5 lets a broker say how much it takes (3.2.2.3.6).
TEST(SmallPackets, AReportedStateThatIsTooLargeCostsNoConnection) {
  MosquittoOptions small;
  small.extra_config = "max_packet_size 2000\n";
  MosquittoBroker broker(small);
  MqttClient manager(broker.port());
  manager.subscribe(kOwn + "#");
  TestLink link(link_options({broker.url()}, 5));
  ASSERT_TRUE(link.wait_connected());
  link->publish_reported(std::string(5000, 'x'));
  link->publish_reported(R"({"n":1})");
  EXPECT_TRUE(manager.wait_for([](const auto& m) { return m.payload == R"({"n":1})"; }));
  // Nor does an answer; not even one that can only be refused with what is too large in itself.
  ASSERT_TRUE(link->answer({1, "r1", "", "", std::string(5000, 'x')}));
  ASSERT_TRUE(link->answer({2, "r2", "", std::string(3000, 'c'), "{}"}));
  ASSERT_TRUE(link->answer({3, "r3", "", "", R"({"ok":true})"}));
  EXPECT_TRUE(manager.wait_for([](const auto& m) { return m.payload == R"({"ok":true})"; }));
  EXPECT_TRUE(wait_until([&] { return link.answered().size() == 3; }));
  EXPECT_EQ(count(broker.log(), "Sending CONNACK to dev-1"), 1U);
}

TEST_P(MessagesTest, OnlyTheNewestReportedIsSentAfterBeingOffline) {
  broker_.stop();
  TestLink link(options());
  ASSERT_TRUE(link.wait_reason("ConnectionRefused"));
  for (int i = 1; i <= 50; ++i) link->publish_reported(std::to_string(i));
  const size_t before = count(broker_.log(), "'" + kOwn + "reported'");
  broker_.start();
  MqttClient manager(broker_.port());
  manager.subscribe(kOwn + "reported");
  EXPECT_TRUE(manager.wait_for([](const auto& m) { return m.payload == "50"; }));
  link->stop(std::chrono::seconds(20));
  ASSERT_TRUE(wait_until(
      [&] { return broker_.log().find("Received DISCONNECT from dev-1") != std::string::npos; }));
  const std::string log = broker_.log();
  size_t received = 0;
  for (const std::string& line : split(log, '\n')) {
    received += line.find("Received PUBLISH from dev-1") != std::string::npos &&
                        line.find("/reported'") != std::string::npos
                    ? 1
                    : 0;
  }
  EXPECT_EQ(before, 0u);
  EXPECT_EQ(received, 1u);
}

TEST_P(MessagesTest, StopSendsWhatIsPending) {
  MqttClient manager(broker_.port());
  manager.subscribe(kOwn + "#");
  TestLink link(options());
  ASSERT_TRUE(link.wait_connected());
  for (int i = 1; i <= 20; ++i) link->publish_reported(std::to_string(i));
  link->stop(std::chrono::seconds(20));
  ASSERT_TRUE(manager.wait_for([](const auto& m) { return is_presence(m, "offline"); }));
  EXPECT_EQ(manager.last(kOwn + "reported")->payload, "20");
  EXPECT_EQ(manager.messages().back().topic, kOwn + "presence") << "offline is the last word";
}

TEST_P(MessagesTest, TooLargeDocumentArrivesCutSoThatItCanBeRefused) {
  MqttClient manager(broker_.port());
  manager.publish_retained(kOwn + "desired", std::string(2 * kMaxMessageBytes, 'x'));
  TestLink link(options());
  EXPECT_TRUE(link.wait_desired("devices/dev-1", std::string(kMaxMessageBytes + 1, 'x')));
}

TEST_P(MessagesTest, ReportedOfSeveralMegabytesIsSentWhole) {
  MqttClient manager(broker_.port());
  manager.subscribe(kOwn + "reported");
  TestLink link(options());
  const std::string large(6u << 20, 'y');
  link->publish_reported(large);
  EXPECT_TRUE(manager.wait_for([&](const auto& m) { return m.payload == large; }));
}

TEST_P(MessagesTest, CommandsAreHandedOverAndAnswered) {
  MqttClient manager(broker_.port());
  manager.subscribe(kOwn + "responses/+");
  FleetOptions made = options();
  made.groups = {"g"};
  TestLink link(made);
  ASSERT_TRUE(link.wait_connected());
  ASSERT_TRUE(wait_until([&] {  // subscribed
    manager.publish("wherry/v1/groups/g/commands/r-1", "any bytes");
    return !link.commands().empty();
  }));
  const CommandMessage command = link.commands().front();
  EXPECT_EQ(command.source, "groups/g");
  EXPECT_EQ(command.request, "r-1");
  EXPECT_EQ(command.payload, "any bytes");
  EXPECT_FALSE(command.retained);
  EXPECT_TRUE(link->answer({7, "r-1", "", "", "{}"}));
  ASSERT_TRUE(manager.wait_for([](const auto& m) { return m.topic == kOwn + "responses/r-1"; }));
  const auto answer = manager.last(kOwn + "responses/r-1");
  EXPECT_EQ(answer->payload, "{}");
  EXPECT_EQ(answer->qos, 1);
  EXPECT_FALSE(answer->retained);
  EXPECT_TRUE(wait_until([&] { return link.answered() == std::vector<uint64_t>{7}; }));
}

TEST_P(MessagesTest, ARetainedCommandIsKnownAsSuch) {
  MqttClient manager(broker_.port());
  manager.publish_retained(kOwn + "commands/r-1", "x");
  TestLink link(options());
  ASSERT_TRUE(wait_until([&] { return !link.commands().empty(); }));
  EXPECT_TRUE(link.commands().front().retained);
}

TEST_P(MessagesTest, AnswersOutliveTheConnection) {
  TestLink link(options());
  ASSERT_TRUE(link.wait_connected());
  broker_.kill();
  ASSERT_TRUE(wait_until([&] { return !link->status().connected; }));
  for (uint64_t i = 1; i <= 40; ++i) {
    EXPECT_TRUE(link->answer({i, "r" + std::to_string(i), "", "", std::to_string(i)}));
  }
  EXPECT_TRUE(link.answered().empty());
  broker_.start();
  EXPECT_TRUE(wait_until([&] { return link.answered().size() == 40; }));
}

TEST_P(MessagesTest, ALeftGroupIsNoLongerHeard) {
  FleetOptions before = options();
  before.groups = {"old"};
  {
    TestLink link(before);
    ASSERT_TRUE(link.wait_connected());
    MqttClient manager(broker_.port());
    manager.publish_retained("wherry/v1/groups/old/desired", "1");
    ASSERT_TRUE(link.wait_desired("groups/old", "1"));
    link->stop(std::chrono::seconds(20));
  }
  // The broker keeps the session, and with it the subscription and what it lets through.
  MqttClient manager(broker_.port());
  manager.publish_retained("wherry/v1/groups/old/desired", "2");
  TestLink link(options());
  manager.publish_retained(kOwn + "desired", "3");
  ASSERT_TRUE(link.wait_desired("devices/dev-1", "3"));
  for (const DesiredMessage& message : link.desired()) EXPECT_EQ(message.source, "devices/dev-1");
  EXPECT_TRUE(wait_until(
      [&] { return broker_.log().find("Received UNSUBSCRIBE from dev-1") != std::string::npos; }));
}

TEST(CommandTest, Mqtt5ResponseTopicAndCorrelationAreHonoured) {
  MosquittoBroker broker;
  MqttClient manager(broker.port());
  manager.subscribe("answers/#");
  manager.subscribe(kOwn + "responses/+");
  TestLink link(link_options({broker.url()}));
  ASSERT_TRUE(link.wait_connected());
  const std::string correlation("\0\1x", 3);
  ASSERT_TRUE(wait_until([&] {
    manager.publish(kOwn + "commands/r-1", "x",
                    {.response_topic = "answers/mine", .correlation = correlation});
    return !link.commands().empty();
  }));
  const CommandMessage command = link.commands().front();
  EXPECT_EQ(command.response_topic, "answers/mine");
  EXPECT_EQ(command.correlation, correlation);
  EXPECT_TRUE(link->answer({1, "r-1", command.response_topic, command.correlation, "{}"}));
  ASSERT_TRUE(manager.wait_for([](const auto& m) { return m.topic == "answers/mine"; }));
  EXPECT_EQ(manager.last("answers/mine")->correlation, correlation);
  EXPECT_EQ(manager.last("answers/mine")->content_type, "application/json");
  // The broker's own topics cannot be published to: the device's is taken instead.
  manager.publish(kOwn + "commands/r-2", "x", {.response_topic = "$SYS/mine"});
  ASSERT_TRUE(wait_until([&] { return link.commands().back().request == "r-2"; }));
  EXPECT_EQ(link.commands().back().response_topic, "");
}

TEST(CommandTest, AnAnswerThatTheBrokerForbidsGoesToTheDevicesOwnTopic) {
  MosquittoBroker broker({.acl = "topic readwrite wherry/#\n"});
  MqttClient manager(broker.port());
  manager.subscribe(kOwn + "responses/+");
  TestLink link(link_options({broker.url()}));
  ASSERT_TRUE(link.wait_connected());
  EXPECT_TRUE(link->answer({7, "r-1", "answers/mine", "x", "{}"}));
  ASSERT_TRUE(manager.wait_for([](const auto& m) { return m.topic == kOwn + "responses/r-1"; }));
  EXPECT_EQ(manager.last(kOwn + "responses/r-1")->correlation, "x");
  EXPECT_TRUE(wait_until([&] { return link.answered() == std::vector<uint64_t>{7}; }));
}

}  // namespace
}  // namespace wherry::test
