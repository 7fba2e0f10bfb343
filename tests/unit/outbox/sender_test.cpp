// What is sent when, what is sent again, and what leaves the disk.

#include "telemetry/outbox/sender.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/files.h"
#include "tests/support/temp_dir.h"

namespace wherry::telemetry {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class SenderTest : public testing::Test {
 protected:
  SenderTest() {
    options_.compress = false;
    auto opened = Outbox::open({directory_.path() + "/outbox.db"}, clock_);
    outbox_ = std::move(opened.outbox);
    make();
  }

  void make() {
    sender_ = std::make_unique<Sender>(*outbox_, clock_, options_, [this] { return random_; });
  }
  void add(const std::string& stream, int count, size_t size = 10) {
    Lines lines;
    for (int i = 0; i < count; ++i) lines.add(R"({"x":")" + std::string(size, 'x') + "\"}");
    ASSERT_TRUE(outbox_->append(stream, std::move(lines)));
  }
  std::optional<Outgoing> next() {
    auto out = sender_->next();
    EXPECT_TRUE(out) << out.error().full();
    return out ? std::move(*out) : std::nullopt;
  }
  std::vector<Outgoing> all() {
    std::vector<Outgoing> out;
    while (auto one = next()) out.push_back(std::move(*one));
    return out;
  }
  uint64_t waiting(const std::string& stream) {
    for (const StreamState& state : outbox_->streams()) {
      if (state.name == stream) return state.next - 1 - state.acked;
    }
    return 0;
  }
  static uint64_t first_of(const Outgoing& out) { return json::parse(out.payload)["first"]; }
  static size_t count_of(const Outgoing& out) { return json::parse(out.payload)["records"].size(); }

  test::TempDir directory_;
  FakeClock clock_;
  SenderOptions options_;
  double random_ = 0;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<Sender> sender_;
};

TEST_F(SenderTest, SendsNothingWithoutAConnection) {
  add("events", 1);
  EXPECT_FALSE(next());
  EXPECT_FALSE(sender_->pause());
}

TEST_F(SenderTest, EventsComeFirstAndTelemetryLast) {
  add("telemetry", 1);
  add("logs/web/web", 1);
  add("data/web/temps", 1);
  add("events", 1);
  sender_->connected(1, true);
  std::vector<std::string> order;
  for (const Outgoing& out : all()) order.push_back(out.stream);
  EXPECT_EQ(order,
            (std::vector<std::string>{"events", "data/web/temps", "logs/web/web", "telemetry"}));
}

TEST_F(SenderTest, RecordsLeaveTheDiskOnlyWhenAcknowledged) {
  add("events", 3);
  sender_->connected(1, true);
  const auto out = next();
  ASSERT_TRUE(out);
  EXPECT_EQ(count_of(*out), 3U);
  EXPECT_EQ(out->content_type, "application/json");
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("events"), 3U);
  sender_->acknowledged(out->ticket, true);
  ASSERT_TRUE(sender_->settle(false));
  EXPECT_EQ(waiting("events"), 3U) << "they gather";
  EXPECT_EQ(sender_->pause(), 500ms);
  clock_.advance(500ms);
  ASSERT_TRUE(sender_->settle(false));
  EXPECT_EQ(waiting("events"), 0U);
}

TEST_F(SenderTest, WhatWasNotAcknowledgedIsSentAgainWithTheSameNumbers) {
  add("events", 2);
  sender_->connected(1, true);
  const auto before = next();
  EXPECT_FALSE(next()) << "it is in flight";
  sender_->disconnected(false);
  EXPECT_FALSE(next());
  sender_->connected(1, true);
  const auto again = next();
  ASSERT_TRUE(before && again);
  EXPECT_EQ(again->payload, before->payload);
  EXPECT_NE(again->ticket, before->ticket);
  sender_->acknowledged(before->ticket, true);  // late, of the connection that is gone
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("events"), 2U);
}

TEST_F(SenderTest, AcknowledgementsMayComeInAnyOrder) {
  add("data/a/s", 40, 1000);
  sender_->connected(1, true);
  std::vector<Outgoing> out = all();
  ASSERT_GE(out.size(), 3U);
  sender_->acknowledged(out[1].ticket, true);
  sender_->acknowledged(out[2].ticket, true);
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("data/a/s"), 40U) << "the first may be lost";
  sender_->acknowledged(out[0].ticket, true);
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("data/a/s"), 40U - (first_of(out[2]) + count_of(out[2]) - 1));
  sender_->acknowledged(out[0].ticket, true);  // twice
  sender_->acknowledged(4711, true);           // of nothing
}

TEST_F(SenderTest, ABrokerThatNeverAcknowledgesGetsNoMoreThanTheWindow) {
  add("data/a/s", 400, 1000);
  sender_->connected(1, true);
  size_t bytes = 0;
  for (const Outgoing& out : all()) bytes += out.payload.size();
  EXPECT_LT(bytes, 64U << 10);
  EXPECT_GT(bytes, 16U << 10);
}

TEST_F(SenderTest, ABatchThatIsNeverAcknowledgedHoldsUpNoOtherStream) {
  add("data/web/a", 300, 2000);
  sender_->connected(1, true);
  const auto stuck = next();
  ASSERT_TRUE(stuck);
  // On a slow link, where the window is as narrow as it gets.
  size_t sent = 1;
  for (auto batches = all(); !batches.empty(); batches = all()) {
    sent += batches.size();
    clock_.advance(1s);
    for (const Outgoing& each : batches) sender_->acknowledged(each.ticket, true);
  }
  EXPECT_LE(sent, options_.max_batches) << "no more of its own";
  EXPECT_EQ(waiting("data/web/a"), 300U);
  add("data/web/b", 300, 2000);
  while (const auto other = next()) {
    ASSERT_EQ(other->stream, "data/web/b");
    sender_->acknowledged(other->ticket, true);
  }
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("data/web/b"), 0U);
  // Late is not never.
  sender_->acknowledged(stuck->ticket, true);
  while (const auto own = next()) sender_->acknowledged(own->ticket, true);
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("data/web/a"), 0U);
}

TEST_F(SenderTest, NorDoesAStreamOfWhichNothingIsAcknowledged) {
  add("data/web/a", 1000, 2000);
  sender_->connected(1, true);
  const auto sent = all();
  add("data/web/b", 1000, 2000);
  const auto pass = [&] {
    while (const auto other = next()) {
      if (other->stream == "data/web/b") sender_->acknowledged(other->ticket, true);
    }
    EXPECT_TRUE(sender_->settle(true));
  };
  pass();
  EXPECT_EQ(waiting("data/web/b"), 0U);
  EXPECT_EQ(waiting("data/web/a"), 1000U);
  add("data/web/b", 100, 2000);
  pass();
  EXPECT_EQ(waiting("data/web/b"), 0U) << "however long it lasts";
}

TEST_F(SenderTest, NorDoesARecordThatFillsTheWindow) {
  add("data/web/a", 2, 60'000);
  sender_->connected(1, true);
  ASSERT_EQ(all().size(), 1U);
  add("events", 3);
  const auto event = next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->stream, "events");
  sender_->acknowledged(event->ticket, true);
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("events"), 0U);
}

TEST_F(SenderTest, TheWindowGrowsOnAFastLinkAndShrinksOnASlowOne) {
  add("data/a/s", 3000, 1000);
  sender_->connected(1, true);
  size_t fast = 0, slow = 0;
  for (int round = 0; round < 6; ++round) {
    const std::vector<Outgoing> out = all();
    fast = 0;
    for (const Outgoing& one : out) fast += one.payload.size();
    clock_.advance(10ms);
    for (const Outgoing& one : out) sender_->acknowledged(one.ticket, true);
  }
  EXPECT_GT(fast, 300U << 10);
  for (int round = 0; round < 6; ++round) {
    const std::vector<Outgoing> out = all();
    slow = 0;
    for (const Outgoing& one : out) slow += one.payload.size();
    clock_.advance(2s);
    for (const Outgoing& one : out) sender_->acknowledged(one.ticket, true);
  }
  EXPECT_LT(slow, fast / 8);
}

TEST_F(SenderTest, AFreshEventOvertakesABacklog) {
  add("data/a/s", 2000, 1000);
  sender_->connected(1, true);
  std::vector<Outgoing> out = all();
  add("events", 1);
  sender_->acknowledged(out[0].ticket, true);
  const auto fresh = next();
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->stream, "events");
}

TEST_F(SenderTest, StreamsOfOneKindTakeTurns) {
  add("data/a/s", 60, 1000);
  add("data/b/s", 60, 1000);
  add("data/c/s", 60, 1000);
  sender_->connected(1, true);
  std::string order;
  for (const Outgoing& out : all()) order += out.stream[5];
  EXPECT_EQ(order.substr(0, 4), "abca");
}

TEST_F(SenderTest, ABacklogWaitsAMomentAfterAConnect) {
  add("events", 1);
  random_ = 0.5;
  sender_->connected(1, true);
  EXPECT_FALSE(next());
  EXPECT_EQ(sender_->pause(), 1500ms);
  clock_.advance(1500ms);
  EXPECT_TRUE(next());
}

TEST_F(SenderTest, WithoutABacklogNothingWaits) {
  random_ = 0.5;
  sender_->connected(1, true);
  add("events", 1);
  EXPECT_TRUE(next());
}

TEST_F(SenderTest, RefusedRecordsAreKeptAndTriedLater) {
  add("data/a/s", 20, 1000);
  add("telemetry", 1);
  random_ = 0.999999;
  make();
  sender_->connected(1, true);
  clock_.advance(3s);
  std::vector<Outgoing> out = all();
  ASSERT_GE(out.size(), 3U);
  sender_->acknowledged(out[0].ticket, true);
  sender_->acknowledged(out[1].ticket, false);
  for (const Outgoing& one : out) {
    if (one.stream == "telemetry") sender_->acknowledged(one.ticket, true);
  }
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("data/a/s"), 20U - count_of(out[0]));
  EXPECT_EQ(waiting("telemetry"), 0U) << "the others go on";
  EXPECT_FALSE(next());
  ASSERT_TRUE(sender_->pause());
  clock_.advance(60s);
  const auto again = next();
  ASSERT_TRUE(again);
  EXPECT_EQ(first_of(*again), first_of(out[1]));
}

TEST_F(SenderTest, CompressesWhereReceiversLearnOfIt) {
  options_.compress = true;
  make();
  add("events", 1, 2000);
  sender_->connected(1, false);
  EXPECT_EQ(next()->content_type, "application/json");
  sender_->connected(1, true);
  const auto out = next();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->content_type, "application/json+zstd");
  EXPECT_LT(out->payload.size(), 300U);
}

TEST_F(SenderTest, AStreamThatCameBackIsSentFromItsBeginning) {
  add("data/a/s", 5);
  sender_->connected(1, true);
  sender_->acknowledged(next()->ticket, true);
  ASSERT_TRUE(sender_->settle(true));
  ASSERT_TRUE(outbox_->forget("data/a/s"));
  add("data/a/s", 9);
  const auto out = next();
  ASSERT_TRUE(out);
  EXPECT_EQ(first_of(*out), 1U);
  EXPECT_EQ(count_of(*out), 9U);
}

TEST_F(SenderTest, StreamsThatAreGoneAreForgotten) {
  sender_->connected(1, true);
  for (int i = 0; i < 50; ++i) {
    const std::string name = "data/job-" + std::to_string(i) + "/s";
    add(name, 1);
    sender_->acknowledged(next()->ticket, true);
    ASSERT_TRUE(sender_->settle(true));
    ASSERT_TRUE(outbox_->forget(name));
  }
  EXPECT_FALSE(next());
  EXPECT_EQ(sender_->streams(), 0U);
}

TEST_F(SenderTest, AFullDiskIsNotAskedTwiceASecond) {
  add("events", 5);
  sender_->connected(1, true);
  sender_->acknowledged(next()->ticket, true);
  clock_.advance(600ms);
  failpoints_arm("outbox.acknowledge.commit=error");
  EXPECT_FALSE(sender_->settle(false));
  EXPECT_TRUE(sender_->settle(false)) << "not tried";
  EXPECT_EQ(sender_->pause(), 5s);
  clock_.advance(4900ms);
  EXPECT_TRUE(sender_->settle(false));
  EXPECT_EQ(waiting("events"), 5U);
  failpoints_arm("");
  clock_.advance(100ms);
  EXPECT_TRUE(sender_->settle(false));
  EXPECT_EQ(waiting("events"), 0U);
}

TEST_F(SenderTest, AcknowledgementsOfALostQueueTakeNothingOfTheNewOne) {
  add("data/a/s", 60, 1000);
  add("data/b/s", 600, 1000);  // more than is held in memory
  sender_->connected(1, true);
  const std::vector<Outgoing> before = all();
  ASSERT_GE(before.size(), 2U);
  for (const char* part : {"/outbox.db", "/outbox.db-wal"}) {
    const std::string path = directory_.path() + part;
    const std::string garbage(read_file(path)->size(), 'z');
    std::ofstream(path, std::ios::binary | std::ios::in) << garbage;
  }
  ASSERT_FALSE(outbox_->read("data/b/s", 0, 1 << 20));
  ASSERT_TRUE(outbox_->renew());
  add("data/a/s", 30, 1000);
  sender_->acknowledged(before[0].ticket, true);
  const auto after = next();
  ASSERT_TRUE(after);
  EXPECT_EQ(first_of(*after), 1U);
  for (const Outgoing& out : before) sender_->acknowledged(out.ticket, true);
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("data/a/s"), 30U);
  sender_->acknowledged(after->ticket, true);
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("data/a/s"), 30U - count_of(*after));
}

TEST_F(SenderTest, WhatIsRefusedIsTriedInSmallerPieces) {
  add("data/a/s", 8, 1000);
  sender_->connected(1, true);
  const auto first = next();
  ASSERT_TRUE(first);
  size_t count = count_of(*first);
  ASSERT_GT(count, 1U);
  for (uint64_t ticket = first->ticket; count > 1;) {
    sender_->acknowledged(ticket, false);
    clock_.advance(2h);
    const auto again = next();
    ASSERT_TRUE(again);
    EXPECT_EQ(first_of(*again), 1U);
    EXPECT_LT(count_of(*again), count);
    count = count_of(*again);
    ticket = again->ticket;
  }
}

// As a broker of MQTT 3.1.1 does with what is too large for it.
TEST_F(SenderTest, ARecordThatEndsEveryConnectionHoldsUpNoOtherStream) {
  add("data/a/poison", 4, 3000);
  uint64_t session = 0;
  // Sends all it may; the broker hangs up at the poison, and acknowledges what was before.
  const auto connection = [&] {
    sender_->connected(++session, false);
    for (const Outgoing& out : all()) {
      if (out.stream == "data/a/poison") break;
      sender_->acknowledged(out.ticket, true);
    }
    ASSERT_TRUE(sender_->settle(true));
    sender_->disconnected(true);
  };
  for (int i = 0; i < 3; ++i) {
    add("telemetry", 1);
    connection();
    EXPECT_GT(waiting("telemetry"), 0U) << "it is behind it";
  }
  connection();
  EXPECT_EQ(waiting("telemetry"), 0U);
  EXPECT_EQ(waiting("data/a/poison"), 4U) << "kept";
  // Tried again after a minute, less of it, and over when the broker takes it.
  sender_->connected(++session, false);
  EXPECT_FALSE(next());
  clock_.advance(61s);
  auto again = next();
  ASSERT_TRUE(again);
  EXPECT_EQ(first_of(*again), 1U);
  EXPECT_LT(count_of(*again), 4U);
  for (; again; again = next()) sender_->acknowledged(again->ticket, true);
  ASSERT_TRUE(sender_->settle(true));
  EXPECT_EQ(waiting("data/a/poison"), 0U);
}

TEST_F(SenderTest, ALinkThatBreaksNowAndThenHoldsUpNothing) {
  for (uint64_t session = 1; session < 20; ++session) {
    add("events", 3, 3000);
    sender_->connected(session, false);
    const auto first = next();
    ASSERT_TRUE(first) << session;
    sender_->acknowledged(first->ticket, true);
    (void)all();  // lost with the connection
    sender_->disconnected(true);
  }
}

// As large packets do that a tunnel swallows, or a broker that is ill: no record is to blame.
TEST_F(SenderTest, ALinkThatGoesSilentHoldsUpNothing) {
  add("events", 3, 3000);
  for (uint64_t session = 1; session < 20; ++session) {
    sender_->connected(session, false);
    ASSERT_TRUE(next()) << session;
    sender_->disconnected(false);
  }
}

// Nor is it for long where the broker itself goes down again and again.
TEST_F(SenderTest, WhatSeemsToEndConnectionsIsTriedAgainWithinMinutes) {
  add("events", 3, 3000);
  for (uint64_t session = 1; session < 20; ++session) {
    sender_->connected(session, false);
    clock_.advance(10min);
    ASSERT_TRUE(next()) << session;
    sender_->disconnected(true);
  }
}

TEST_F(SenderTest, AHoleIsAnnouncedInTheBatchBehindIt) {
  Lines lines;
  lines.add("{}");
  ASSERT_TRUE(outbox_->append("events", std::move(lines), {.lost = 7}));
  sender_->connected(1, true);
  const json batch = json::parse(next()->payload);
  EXPECT_EQ(batch["first"], 8);
  EXPECT_EQ(batch["dropped"], json::parse(R"({"count":7,"from":1,"reason":"NotKept"})"));
}

}  // namespace
}  // namespace wherry::telemetry
