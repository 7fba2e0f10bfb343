// What goes wrong between a device and its broker, and that the link comes back by itself.

#include <algorithm>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/integration/fleet/link_fixture.h"
#include "tests/integration/fleet/raw_server.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/mqtt_client.h"
#include "tests/support/scripted_broker.h"
#include "tests/support/tcp_relay.h"
#include "tests/support/temp_dir.h"

namespace wherry::test {
namespace {

const std::string kOwn = "wherry/v1/devices/dev-1/";

std::string local(int port) { return "mqtt://127.0.0.1:" + std::to_string(port); }

bool is_presence(const MqttMessage& message, const std::string& state) {
  return message.topic == kOwn + "presence" &&
         nlohmann::json::parse(message.payload)["state"] == state;
}

class RecoveryTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Versions, RecoveryTest, ::testing::Values(5, 4),
                         [](const auto& test) { return test.param == 5 ? "V5" : "V311"; });

TEST_P(RecoveryTest, LostSocketShowsTheWillAndThenOnlineAgain) {
  MosquittoBroker broker;
  TcpRelay relay(broker.port());
  MqttClient manager(broker.port());
  manager.subscribe(kOwn + "presence");
  TestLink link(link_options({local(relay.port())}, GetParam()));
  ASSERT_TRUE(manager.wait_for([](const auto& m) { return is_presence(m, "online"); }));
  manager.clear();
  relay.cut();
  const auto will = manager.wait_for([](const auto& m) { return is_presence(m, "offline"); });
  ASSERT_TRUE(will);
  EXPECT_EQ(nlohmann::json::parse(will->payload)["boot"], "boot-1");
  EXPECT_TRUE(manager.wait_for([](const auto& m) { return is_presence(m, "online"); }));
  EXPECT_EQ(manager.messages().back().topic, kOwn + "presence");
  EXPECT_TRUE(is_presence(manager.messages().back(), "online"));
}

TEST_P(RecoveryTest, BrokerKilledAndRestarted) {
  MosquittoBroker broker;
  TestLink link(link_options({broker.url()}, GetParam()));
  ASSERT_TRUE(link.wait_connected());
  link->publish_reported("state");
  broker.kill();
  ASSERT_TRUE(wait_until([&] { return !link->status().connected; }));
  ASSERT_TRUE(link.wait_reason("ConnectionRefused"));
  broker.start();
  ASSERT_TRUE(link.wait_connected());
  EXPECT_EQ(link->status().reason, "");
  // The broker forgot everything: reported and presence must be there again, and so must we.
  MqttClient manager(broker.port());
  manager.subscribe(kOwn + "#");
  EXPECT_TRUE(manager.wait_for([](const auto& m) { return m.payload == "state"; }));
  EXPECT_TRUE(manager.wait_for([](const auto& m) { return is_presence(m, "online"); }));
  manager.publish_retained(kOwn + "desired", "after");
  EXPECT_TRUE(link.wait_desired("devices/dev-1", "after"));
}

TEST_P(RecoveryTest, MessagesSentWhileOfflineAreDelivered) {
  MosquittoBroker broker({.persistence = true});
  TcpRelay relay(broker.port());
  TestLink link(link_options({local(relay.port())}, GetParam()));
  MqttClient manager(broker.port());
  manager.publish_retained(kOwn + "desired", "1");
  ASSERT_TRUE(link.wait_desired("devices/dev-1", "1"));
  link->stop(std::chrono::seconds(20));
  manager.publish_retained(kOwn + "desired", "2");
  broker.restart();
  TestLink again(link_options({local(relay.port())}, GetParam()));
  EXPECT_TRUE(again.wait_desired("devices/dev-1", "2"));
}

TEST_P(RecoveryTest, WrongPasswordIsNamedAndCuredByTheRightOne) {
  MosquittoBroker broker({.username = "device", .password = "right"});
  const TempDir dir;
  write_text(dir / "password", "wrong\n", 0600);
  FleetOptions options = link_options({broker.url()}, GetParam());
  options.username = "device";
  options.password_file = dir / "password";
  TestLink link(options);
  ASSERT_TRUE(link.wait_reason("NotAuthorized"));
  EXPECT_THAT(link->status().message, ::testing::HasSubstr("mqtt.password_file"));
  EXPECT_THAT(link->status().message, ::testing::Not(::testing::HasSubstr("wrong")));
  write_text(dir / "password", "right\n", 0600);
  EXPECT_TRUE(link.wait_connected());
}

TEST_P(RecoveryTest, GarbageIsAProtocolErrorAndNeverTheEnd) {
  RawServer server("HTTP/1.1 400 Bad Request\r\n\r\n", false);
  TestLink link(link_options({server.url()}, GetParam()));
  EXPECT_TRUE(link.wait_reason("ProtocolError"));
  EXPECT_TRUE(wait_until([&] { return server.connections() >= 3; })) << "keeps trying";
  EXPECT_FALSE(link->status().connected);
}

TEST_P(RecoveryTest, HangingUpIsAConnectionLost) {
  RawServer server("", true);
  TestLink link(link_options({server.url()}, GetParam()));
  EXPECT_TRUE(link.wait_reason("ConnectionLost"));
  EXPECT_THAT(link->status().message, ::testing::HasSubstr("mqtts://"));
  EXPECT_TRUE(wait_until([&] { return server.connections() >= 3; }));
}

TEST_P(RecoveryTest, SilenceInsteadOfAnAnswerIsATimeout) {
  RawServer server("", false);
  FleetOptions options = link_options({server.url()}, GetParam());
  options.connect_timeout = std::chrono::milliseconds(100);
  TestLink link(options);
  EXPECT_TRUE(link.wait_reason("Timeout"));
  EXPECT_TRUE(wait_until([&] { return server.connections() >= 2; }));
}

TEST_P(RecoveryTest, BrokersAreTriedInOrderUntilOneServes) {
  RawServer silent("", false);
  RawServer garbage(std::string(64, '\xff'), true);
  MosquittoBroker broker;
  FleetOptions options = link_options(
      {local(free_port()), "ftp://nonsense", silent.url(), garbage.url(), broker.url()},
      GetParam());
  options.connect_timeout = std::chrono::milliseconds(100);
  TestLink link(options);
  ASSERT_TRUE(link.wait_connected());
  EXPECT_EQ(link->status().broker, broker.url());
  std::vector<std::string> tried;
  for (const LinkStatus& status : link.statuses()) tried.push_back(status.broker);
  tried.erase(std::unique(tried.begin(), tried.end()), tried.end());
  tried.resize(options.brokers.size());  // on a slow machine the last one may need a second round
  EXPECT_EQ(tried, options.brokers);
}

TEST_P(RecoveryTest, TheListWrapsAround) {
  MosquittoBroker first;
  MosquittoBroker second;
  TestLink link(link_options({first.url(), second.url()}, GetParam()));
  ASSERT_TRUE(link.wait_connected());
  EXPECT_EQ(link->status().broker, first.url());
  link->publish_reported("state");
  {
    MqttClient at_first(first.port());
    at_first.subscribe(kOwn + "reported");
    ASSERT_TRUE(at_first.wait_for([](const auto& m) { return m.payload == "state"; }));
  }
  first.kill();
  ASSERT_TRUE(wait_until([&] { return link->status().broker == second.url(); }));
  ASSERT_TRUE(link.wait_connected());
  MqttClient manager(second.port());
  manager.subscribe(kOwn + "reported");
  EXPECT_TRUE(manager.wait_for([](const auto& m) { return m.payload == "state"; }))
      << "the second broker never had it";
  first.start();
  second.kill();
  ASSERT_TRUE(wait_until([&] { return link->status().broker == first.url(); }));
  EXPECT_TRUE(link.wait_connected());
}

TEST(LinkTest, StopIsBoundedWhenTheBrokerDoesNotAnswer) {
  MosquittoBroker broker;
  TcpRelay relay(broker.port());
  TestLink link(link_options({local(relay.port())}));
  ASSERT_TRUE(link.wait_connected());
  relay.stall(true);
  link->publish_reported("never acknowledged");
  link->stop(std::chrono::milliseconds(50));  // hangs for ever, were it not bounded
  EXPECT_FALSE(link->status().connected);
}

TEST(LinkTest, BrokerThatStopsAnsweringIsNoticedByPings) {
  MosquittoBroker broker;
  TcpRelay relay(broker.port());
  FleetOptions options = link_options({local(relay.port())});
  options.keepalive = std::chrono::seconds(5);  // the shortest there is
  TestLink link(options);
  ASSERT_TRUE(link.wait_connected());
  relay.stall(true);
  ASSERT_TRUE(wait_until([&] { return link->status().reason == "Timeout"; }));
  relay.stall(false);
  EXPECT_TRUE(link.wait_connected());
}

TEST(LinkTest, UnknownNameIsADnsFailure) {
  TestLink link(link_options({"mqtt://no-such-host.invalid"}));
  EXPECT_TRUE(link.wait_reason("DnsLookupFailed"));
}

// Mosquitto closes the connection of a device that may not publish; others only refuse to
// subscribe.
TEST(LinkTest, RefusedSubscriptionShowsWhileConnected) {
  const std::string connack("\x20\x02\x00\x00", 4);
  const std::string suback("\x90\x04\x00\x02\x80\x01", 6);
  RawServer server(connack + suback, false);
  TestLink link(link_options({server.url()}, 4));
  ASSERT_TRUE(link.wait_reason("SubscriptionRefused"));
  EXPECT_TRUE(link->status().connected);
  EXPECT_THAT(link->status().message, ::testing::HasSubstr(kOwn + "desired"));
  EXPECT_THAT(link->status().message, ::testing::Not(::testing::HasSubstr(kOwn + "commands")));
}

// Where the connection stays up; Mosquitto hangs up after some of its refusals.
TEST(LinkTest, RefusedPublicationsShowAndAreTriedAgain) {
  ScriptedBroker broker;
  broker.hold(true);
  FleetOptions options = link_options({broker.url()});
  options.refused_retry = std::chrono::milliseconds(200);
  TestLink link(options);
  link->publish_reported(R"({"a":1})");
  for (const char* topic : {"presence", "reported"}) {
    ASSERT_TRUE(wait_until([&] { return !broker.held(topic).empty(); })) << topic;
    broker.send(ScriptedBroker::refusal(broker.held(topic).front()));
  }
  ASSERT_TRUE(link.wait_reason("PublishRefused"));
  EXPECT_TRUE(link->status().connected);
  EXPECT_THAT(link->status().message, ::testing::HasSubstr(kOwn + "presence"));
  ASSERT_TRUE(wait_until([&] {
    return broker.held("presence").size() >= 2 && broker.held("reported").size() >= 2;
  })) << "nobody else has them";
  broker.hold(false);
  EXPECT_TRUE(wait_until([&] {
    const LinkStatus status = link->status();
    return status.connected && status.reason.empty();
  }));
}

// What a link said each time it gave up a connection for want of answers.
std::vector<std::string> unanswered(const TestLink& link) {
  std::vector<std::string> messages;
  for (const LinkStatus& status : link.statuses()) {
    if (status.reason == "Unanswered") messages.push_back(status.message);
  }
  return messages;
}

// Only another connection may send again what the broker has left unanswered.
TEST(LinkTest, WhatIsNeverAcknowledgedGoesOutAgainOnAnotherConnection) {
  ScriptedBroker broker;
  broker.hold(true);
  FleetOptions options = link_options({broker.url()});
  options.answer_timeout = std::chrono::milliseconds(100);
  TestLink link(options);
  link->publish_reported(R"({"a":1})");
  ASSERT_TRUE(wait_until([&] { return unanswered(link).size() >= 2; }));
  EXPECT_THAT(unanswered(link)[0], ::testing::HasSubstr(kOwn));
  EXPECT_THAT(unanswered(link)[0], ::testing::HasSubstr("within 100ms"));
  EXPECT_THAT(unanswered(link)[1], ::testing::HasSubstr("within 200ms"));
  // By then it has patience enough for a slow machine.
  ASSERT_TRUE(wait_until([&] { return unanswered(link).size() >= 5; }));
  broker.take();
  ASSERT_TRUE(wait_until([&] { return !broker.held("reported").empty(); }));
  broker.hold(false);
  ASSERT_TRUE(wait_until([&] { return broker.held().empty() && link->status().connected; }));
  const int connections = broker.connections();
  link->publish_reported(R"({"a":2})");
  EXPECT_TRUE(wait_until([&] {
    const auto came = broker.take();
    return std::any_of(came.begin(), came.end(),
                       [](const MqttMessage& m) { return m.payload == R"({"a":2})"; });
  }));
  EXPECT_EQ(broker.connections(), connections) << "answered, and left all the same";
}

TEST(LinkTest, WhatOneBrokerNeverAcknowledgesIsTakenToTheNext) {
  ScriptedBroker silent;
  silent.hold(true);
  MosquittoBroker good;
  FleetOptions options = link_options({silent.url(), good.url()});
  options.answer_timeout = std::chrono::milliseconds(100);
  TestLink link(options);
  EXPECT_TRUE(wait_until([&] {
    const LinkStatus status = link->status();
    return status.connected && status.broker == good.url();
  })) << link->status().message;
}

TEST(LinkTest, ASubscriptionThatIsNeverAnsweredEndsTheConnection) {
  const std::string connack("\x20\x02\x00\x00", 4);
  const std::string presence_acknowledged("\x40\x02\x00\x01", 4);
  RawServer server(connack + presence_acknowledged, false);
  FleetOptions options = link_options({server.url()}, 4);
  options.answer_timeout = std::chrono::milliseconds(300);
  TestLink link(options);
  ASSERT_TRUE(wait_until([&] { return !unanswered(link).empty(); }));
  EXPECT_THAT(unanswered(link)[0], ::testing::HasSubstr("the subscription to " + kOwn));
}

TEST(LinkTest, AccessRulesThatEndTheConnectionAreHintedAt) {
  MosquittoBroker broker({.extra_config = "acl_file /dev/null\n"});
  FleetOptions options = link_options({broker.url()});
  options.reconnect_min = std::chrono::seconds(10);  // any connection here is a short one
  TestLink link(options);
  EXPECT_TRUE(
      wait_until([&] { return link->status().message.find("access rules") != std::string::npos; }));
}

// Of these pauses it would come back in an hour.
TEST(LinkTest, ANetworkThatComesEndsThePause) {
  MosquittoBroker broker;
  broker.kill();
  FleetOptions options = link_options({broker.url()});
  options.reconnect_min = options.reconnect_max = std::chrono::hours(2);
  TestLink link(options);
  ASSERT_TRUE(link.wait_reason("ConnectionRefused"));
  broker.start();
  ASSERT_EQ(system("ip link add way-out type ifb && ip link set way-out up"), 0);
  EXPECT_TRUE(link.wait_connected());
  EXPECT_EQ(system("ip link del way-out"), 0);
}

TEST(LinkTest, NoBrokerIsAReasonToo) {
  TestLink link(link_options({}));
  EXPECT_EQ(link->status().reason, "NoBroker");
  link->stop(std::chrono::seconds(1));
}

TEST(LinkTest, TheBrokersReasonToDisconnectIsTold) {
  const std::string connack("\x20\x03\x00\x00\x00", 5);
  const std::string session_taken_over("\xe0\x01\x8e", 3);
  RawServer server(connack + session_taken_over, false);
  TestLink link(link_options({server.url()}));
  EXPECT_TRUE(link.wait_reason("SessionTakenOver"));
}

TEST(LinkTest, TwoClientsWithOneIdAreHintedAt) {
  MosquittoBroker broker;
  FleetOptions options = link_options({broker.url()});
  options.reconnect_min = std::chrono::seconds(10);  // any connection here is a short one
  TestLink first(options);
  ASSERT_TRUE(first.wait_connected());
  TestLink second(link_options({broker.url()}));
  EXPECT_TRUE(wait_until([&] {
    for (const LinkStatus& status : first.statuses()) {
      if (status.message.find("client id used twice") != std::string::npos) return true;
    }
    return false;
  }));
}

// MQTT 5, 3.1: fixed header, "MQTT", version, flags, keep-alive, properties.
TEST(LinkTest, ConnectAsksForAPersistentSessionAndBoundsPackets) {
  RawServer server("", false);
  FleetOptions options = link_options({server.url()});
  options.session_expiry = std::chrono::hours(24 * 7);
  TestLink link(options);
  ASSERT_TRUE(wait_until([&] { return !server.first_bytes().empty(); }));
  const std::string packet = server.first_bytes();
  const size_t name = packet.find("MQTT");
  ASSERT_NE(name, std::string::npos);
  EXPECT_EQ(packet[name + 4], 5);
  EXPECT_EQ(packet[name + 5] & 0x02, 0) << "not a clean start";
  EXPECT_EQ(packet[name + 5] & 0x3c, 0x2c) << "a will, retained, QoS 1";
  const std::string properties = packet.substr(name + 9, static_cast<size_t>(packet[name + 8]));
  EXPECT_NE(properties.find(std::string("\x11\x00\x09\x3a\x80", 5)), std::string::npos) << "7 days";
  EXPECT_NE(properties.find(std::string("\x27\x00\x80\x00\x00", 5)), std::string::npos) << "8 MiB";
}

}  // namespace
}  // namespace wherry::test
