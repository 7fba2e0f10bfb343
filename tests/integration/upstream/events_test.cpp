// Events reach the fleet: once numbered, in order, over lost connections, brokers and agents. The
// agent runs without containerd here: documents alone make events.

#include <set>

#include <gtest/gtest.h>

#include "tests/support/batch_receiver.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class EventsTest : public testing::Test {
 protected:
  void SetUp() override {
    broker_ = std::make_unique<MosquittoBroker>(MosquittoOptions{.persistence = true});
    WherryOptions options;
    options.brokers = {broker_->url()};
    options.sets = {"mqtt.reconnect={min: 100ms, max: 500ms}"};
    agent_ = std::make_unique<WherryDaemon>(options);
    listen();
  }
  void listen() {
    if (fleet_) receiver_.take_all(*fleet_, "wherry/v1/devices/dev-1");
    receiver_.start_over();
    fleet_ = std::make_unique<MqttClient>(broker_->port());
    fleet_->subscribe("wherry/v1/devices/dev-1/#");
  }
  // A document that is refused, which is an event of its own.
  void make_event() {
    const int revision = ++revision_;
    const auto answer = json{{"apiVersion", "wherry/v1"},
                             {"kind", "DesiredState"},
                             {"metadata", {{"revision", revision}}},
                             {"spec", {{"itemz", json::array()}}}};
    fleet_->publish_retained("wherry/v1/devices/dev-1/desired", answer.dump());
    fleet_->wait_for([&](const MqttMessage& message) {
      return message.topic.ends_with("/reported") &&
             message.payload.find("\"revision\":" + std::to_string(revision)) != std::string::npos;
    });
  }
  std::vector<json> local_events() {
    return agent_->get("/v1/events?limit=1000").json()["events"].get<std::vector<json>>();
  }
  // Until the newest local event has arrived; what arrived is then what the device has.
  void expect_all_there() {
    const std::vector<json> local = local_events();
    ASSERT_FALSE(local.empty());
    const bool came = wait_until([&] {
      receiver_.take_all(*fleet_, "wherry/v1/devices/dev-1");
      return numbers().contains(local.back()["number"]);
    });
    EXPECT_TRUE(came) << "the last event did not arrive";
    std::set<int64_t> missing;
    for (const json& event : local) {
      if (!numbers().contains(event["number"])) missing.insert(event["number"].get<int64_t>());
    }
    EXPECT_TRUE(missing.empty()) << json(missing);
    EXPECT_TRUE(receiver_.problems().empty()) << json(receiver_.problems()).dump(1);
  }
  std::set<int64_t> numbers() {
    std::set<int64_t> all;
    for (const auto& [number, record] : receiver_.only("events").records) {
      all.insert(record["number"].get<int64_t>());
    }
    return all;
  }
  std::unique_ptr<MosquittoBroker> broker_;
  std::unique_ptr<WherryDaemon> agent_;
  std::unique_ptr<MqttClient> fleet_;
  BatchReceiver receiver_;
  int revision_ = 0;
};

TEST_F(EventsTest, ArriveAsBatchesWithWhatTheLocalLogSays) {
  agent_->start();
  make_event();
  expect_all_there();
  const auto& stream = receiver_.only("events");
  EXPECT_EQ(stream.repeats, 0U);
  const std::vector<json> local = local_events();
  json record = stream.records.rbegin()->second;
  EXPECT_EQ(record, local.back());
  const auto message = fleet_->last("wherry/v1/devices/dev-1/events");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->qos, 1);
  EXPECT_FALSE(message->retained);
  EXPECT_TRUE(message->content_type.starts_with("application/json"));
}

TEST_F(EventsTest, WhatHappensWithoutABrokerArrivesWhenItIsBack) {
  agent_->start();
  make_event();
  broker_->stop();
  for (int i = 0; i < 3; ++i) {
    const auto newest = [&] { return local_events().back().value("number", 0); };
    const int before = newest();
    agent_->restart();  // and it finds no containerd, again
    ASSERT_TRUE(wait_until([&] { return newest() > before; }));
  }
  broker_->start();
  listen();
  expect_all_there();
}

TEST_F(EventsTest, AKilledAgentLosesNone) {
  for (int round = 0; round < 8; ++round) {
    agent_->start();
    make_event();
    make_event();
    if (round % 2 == 0) {
      agent_->kill();
    } else {
      agent_->stop();
    }
  }
  agent_->start();
  make_event();
  expect_all_there();
}

TEST_F(EventsTest, ADamagedOutboxIsReplacedAndSaysSo) {
  agent_->start();
  make_event();
  expect_all_there();
  agent_->stop();
  write_text(agent_->state_dir() + "/outbox.db", std::string(10'000, '?'));
  agent_->start();
  ASSERT_TRUE(wait_until([&] {
    for (const json& event : local_events()) {
      if (event["reason"] == "OutboxDamaged") return true;
    }
    return false;
  }));
  make_event();
  const std::vector<json> local = local_events();
  ASSERT_TRUE(wait_until([&] {
    receiver_.take_all(*fleet_, "wherry/v1/devices/dev-1");
    const auto& epochs = receiver_.streams().at("events");
    return epochs.size() == 2 && epochs[1].second.records.size() >= local.size();
  }));
  EXPECT_TRUE(receiver_.problems().empty()) << json(receiver_.problems()).dump(1);
}

}  // namespace
}  // namespace wherry::test
