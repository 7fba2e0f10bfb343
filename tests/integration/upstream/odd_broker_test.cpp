// Brokers that acknowledge in any order, or never, and send what nobody asked for: the agent as it
// is shipped, without a container stack, and records handed in at a workload's socket.

#include <algorithm>
#include <optional>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "tests/support/batch_receiver.h"
#include "tests/support/net.h"
#include "tests/support/scripted_broker.h"
#include "tests/support/test_image.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::test {
namespace {

using nlohmann::json;

constexpr const char* kDevice = "wherry/v1/devices/dev-1";

class OddBrokerTest : public testing::Test {
 protected:
  OddBrokerTest() {
    WherryOptions options;
    options.brokers = {broker_.url()};
    options.sets = {"mqtt.reconnect={min: 50ms, max: 200ms}", "telemetry.interval=0s"};
    agent_.emplace(options);
    // A workload of an earlier life, whose socket is opened again whether or not it still runs.
    if (!make_directories(agent_->run_dir() + "/pods/pump/data"))
      throw std::runtime_error("no directory");
    agent_->start();
    if (!wait_until([&] { return broker_.subscribed(); }))
      throw std::runtime_error("no connection");
  }

  // Records of `size` and a few bytes, half of it when compressed.
  void hand_in(const std::string& stream, int count, size_t size = 4000) {
    for (int i = 0; i < count; ++i) {
      const json record = {{"n", ++handed_in_[stream]}, {"text", random_hex(size)}};
      const std::string body = record.dump();
      const std::string answer =
          ask("POST /v1/streams/" + stream + " HTTP/1.1\r\nHost: data\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
      ASSERT_NE(answer.find(" 200 "), std::string::npos) << answer;
    }
  }
  std::string ask(const std::string& request) {
    return ask_unix(agent_->run_dir() + "/pods/pump/data/data.sock", request);
  }
  json streams() {
    const std::string answer = ask("GET /v1/streams HTTP/1.1\r\nHost: data\r\n\r\n");
    const json said = json::parse(answer.substr(answer.find("\r\n\r\n")), nullptr, false);
    return said.is_discarded() ? json() : said["streams"];
  }
  bool all_acknowledged() {
    const json list = streams();
    return !list.is_null() && std::all_of(list.begin(), list.end(), [](const json& stream) {
      return stream["acknowledged"].get<int64_t>() + 1 == stream["next"].get<int64_t>();
    });
  }
  // The last record that has left the disk.
  int64_t acknowledged(const std::string& name) {
    for (const json& stream : streams()) {
      if (stream["stream"] == name) return stream["acknowledged"];
    }
    return -1;
  }
  void take() {
    for (const MqttMessage& message : broker_.take()) {
      const std::string end = message.topic.substr(message.topic.rfind('/') + 1);
      if (message.topic.find("/responses/") != std::string::npos) ++answers_;
      if (end != "presence" && end != "reported") receiver_.take(message);
    }
  }
  // Each record arrived, in its order, with the number it was promised.
  void expect_all_arrived() {
    EXPECT_TRUE(wait_until([&] { return all_acknowledged(); })) << tail(agent_->log());
    take();
    for (const auto& [name, count] : handed_in_) {
      const auto& stream = receiver_.only("data/pump/" + name);
      ASSERT_EQ(stream.records.size(), static_cast<size_t>(count)) << name;
      for (const auto& [number, record] : stream.records) EXPECT_EQ(record["n"], number) << name;
      EXPECT_EQ(stream.dropped, 0U);
    }
    EXPECT_TRUE(receiver_.problems().empty()) << json(receiver_.problems());
  }
  uint64_t repeats() {
    uint64_t all = 0;
    for (const auto& [name, count] : handed_in_) {
      all += receiver_.only("data/pump/" + name).repeats;
    }
    return all;
  }

  ScriptedBroker broker_;
  std::optional<WherryDaemon> agent_;
  BatchReceiver receiver_;
  std::map<std::string, int> handed_in_;
  int answers_ = 0;
};

TEST_F(OddBrokerTest, AcknowledgementsInAnyOrderLoseAndRepeatNothing) {
  std::mt19937 random(7);
  broker_.hold(true);
  for (const char* stream : {"a", "b", "c"}) hand_in(stream, 30);
  ASSERT_TRUE(wait_until([&] { return broker_.held("/data/").size() >= 3; })) << "nothing to mix";
  ASSERT_TRUE(wait_until([&] {
    std::vector<uint16_t> held = broker_.held();
    std::shuffle(held.begin(), held.end(), random);
    for (const uint16_t id : held) broker_.acknowledge(id);
    return all_acknowledged();
  })) << tail(agent_->log());
  expect_all_arrived();
  EXPECT_EQ(repeats(), 0U);
  EXPECT_EQ(broker_.connections(), 1);
}

// The front was not acknowledged: all behind it stays on the disk, too.
TEST_F(OddBrokerTest, KilledWithTheFirstUnacknowledgedItSendsThatAgain) {
  broker_.hold(true);
  hand_in("a", 10);  // few enough for others to have a place in the window
  ASSERT_TRUE(wait_until([&] { return broker_.held("/data/").size() >= 3; }));
  const std::vector<uint16_t> held = broker_.held("/data/");
  for (size_t i = held.size(); --i > 0;) broker_.acknowledge(held[i]);
  // What leaves the disk leaves it together: once this has, the others would have.
  hand_in("b", 1);
  ASSERT_TRUE(wait_until([&] {
    for (const uint16_t id : broker_.held("/data/pump/b")) broker_.acknowledge(id);
    return acknowledged("b") == 1;
  })) << tail(agent_->log());
  EXPECT_EQ(acknowledged("a"), 0);
  agent_->kill();
  broker_.hold(false);
  agent_->start();
  expect_all_arrived();
  EXPECT_GT(repeats(), 0U);
}

TEST_F(OddBrokerTest, OneThatNeverAcknowledgesGetsAWindowFullAndTheRestIsKept) {
  broker_.hold(true);
  hand_in("a", 40, 16000);  // few, so that their bytes are too many before they are
  ASSERT_TRUE(wait_until([&] { return !broker_.held("/data/").empty(); }));
  // Meanwhile the device hears what is said to it, and answers where it can: on its own socket.
  broker_.send(ScriptedBroker::publish_packet(std::string(kDevice) + "/desired", "kind: No", 1));
  EXPECT_TRUE(wait_until([&] {
    return agent_->get("/v1/events").body.find("DocumentRejected") != std::string::npos;
  })) << agent_->get("/v1/events").body;
  hand_in("b", 1);
  // The first window is 32 KiB, and one batch may go beyond it; the reported state is beside it.
  EXPECT_LT(broker_.held_bytes(), 64U << 10);
  EXPECT_FALSE(all_acknowledged());
  take();
  EXPECT_EQ(repeats(), 0U) << "sent again on the same connection";
  broker_.cut();
  ASSERT_TRUE(wait_until([&] { return broker_.connections() == 2; }));
  broker_.hold(false);
  expect_all_arrived();
  EXPECT_GT(repeats(), 0U);
}

TEST_F(OddBrokerTest, WhatNobodyAskedForIsTakenAndPassedOver) {
  uint16_t id = 0;
  const std::string device = kDevice;
  for (const std::string& topic :
       {std::string("other"), std::string("wherry/v1/devices/other/commands/r1"),
        device + "/desired/more", device + "/commands", device + "/commands/a/b",
        std::string("wherry/v1/groups/none/desired"), std::string("$SYS/broker/load")}) {
    broker_.send(ScriptedBroker::publish_packet(topic, "{\"command\":\"ping\"}", ++id));
  }
  for (const uint16_t unknown : {1, 1, 77, 65535}) {
    broker_.send(ScriptedBroker::acknowledgement(unknown));
  }
  EXPECT_TRUE(wait_until([&] { return broker_.acknowledged().size() == id; }));
  hand_in("a", 3);
  expect_all_arrived();
  EXPECT_EQ(broker_.connections(), 1) << tail(agent_->log());
  EXPECT_EQ(answers_, 0);
}

}  // namespace
}  // namespace wherry::test
