// From a container's log into its queue: each line once, whatever happens in between.

#include "agent/forward/container_forward.h"

#include <cstdio>
#include <unistd.h>

#include "tests/unit/forward/forward_fixture.h"

namespace wherry {
namespace {

using test::LogWriter;
using Messages = std::vector<std::string>;

constexpr const char* kStream = "logs/web/main";

class ContainerForwardTest : public test::ForwardTest {
 protected:
  ContainerForwardTest() { begin(); }
  // As after a restart of the agent.
  void begin() { forward_.emplace(path("web", "main"), kStream, limits_, *telemetry_); }
  void restart() {
    forward_.reset();
    open();
    begin();
  }
  // All there is; false where it failed.
  bool forward(LogForward mode = LogForward::All, bool settle = true) {
    while (true) {
      const auto more = forward_->forward(mode, settle);
      if (!more || !*more) return more.has_value();
    }
  }
  std::string log() { return path("web", "main"); }

  ForwardLimits limits_;
  std::optional<ContainerForward> forward_;
};

TEST_F(ContainerForwardTest, KeepsLinesWithTheirPlace) {
  EXPECT_TRUE(forward()) << "there is no log yet";
  LogWriter writer(log());
  writer.say("one\ntwo\n", 1);
  EXPECT_TRUE(forward());
  EXPECT_EQ(kept(kStream).messages, (Messages{"one", "two"}));
  restart();
  EXPECT_TRUE(forward());
  writer.say("three\n", 2);
  EXPECT_TRUE(forward());
  EXPECT_TRUE(forward());
  EXPECT_EQ(kept(kStream).messages, (Messages{"one", "two", "three"}));
  EXPECT_EQ(kept(kStream).lost, 0U);
}

TEST_F(ContainerForwardTest, SendsErrorsOnly) {
  LogWriter writer(log());
  writer.say("fine\n", 1);
  writer.say("broken\n", 2, true);
  writer.say("fine\n", 3);
  EXPECT_TRUE(forward(LogForward::Errors));
  EXPECT_EQ(kept(kStream).messages, Messages{"broken"});
}

// In every life another step fails, or the agent is gone before it says so.
TEST_F(ContainerForwardTest, LosesAndRepeatsNothingAcrossRotationsAndFailures) {
  LogWriter writer(log(), 256 << 10);
  Messages said;
  for (int i = 0; i < 4000; ++i) {
    said.push_back(std::to_string(i) + std::string(80, 'x'));
    writer.say(said.back() + "\n", i);
    if (i % 97 != 0) continue;
    if (i % 2 == 0) failpoints_arm("outbox.append.commit=error@2");
    if (i % 3 == 0) failpoints_arm("logs.forward.kept=error");
    const bool done = forward();
    EXPECT_TRUE(done || i % 2 == 0 || i % 3 == 0);
    failpoints_arm("");
    if (i % 5 == 0) restart();
  }
  EXPECT_TRUE(forward());
  EXPECT_TRUE(kept(kStream).messages == said);
  EXPECT_EQ(kept(kStream).lost, 0U);
}

TEST_F(ContainerForwardTest, AFloodIsCountedAndItsLastLineGoes) {
  LogWriter writer(log());
  for (int i = 0; i < 20'000; ++i) writer.say("flood " + std::to_string(i) + "\n", 1);
  EXPECT_TRUE(forward());
  auto all = kept(kStream);
  EXPECT_LT(all.messages.size(), 10'000U);
  EXPECT_GT(all.messages.size(), 1'000U);
  EXPECT_EQ(all.messages.front(), "flood 0");
  EXPECT_EQ(all.messages.back(), "flood 19999");
  ASSERT_EQ(all.dropped.size(), 1U);
  EXPECT_EQ(all.dropped[0].reason, "RateLimited");
  EXPECT_EQ(all.messages.size() + all.lost, 20'000U);
  writer.say("calm\n", 60);
  EXPECT_TRUE(forward());
  EXPECT_EQ(kept(kStream).messages.back(), "calm");
  EXPECT_EQ(kept(kStream).messages.size() + kept(kStream).lost, 20'001U);
}

// An agent that is killed while it counts reads again what it has not announced.
TEST_F(ContainerForwardTest, WhatWasNotAnnouncedIsReadAgain) {
  LogWriter writer(log());
  for (int i = 0; i < 20'000; ++i) writer.say("flood " + std::to_string(i) + "\n", 1);
  EXPECT_TRUE(forward(LogForward::All, false));
  EXPECT_EQ(kept(kStream).lost, 0U);
  restart();
  EXPECT_TRUE(forward());
  const auto all = kept(kStream);
  EXPECT_EQ(all.messages.back(), "flood 19999");
  EXPECT_EQ(all.messages.size() + all.lost, 20'000U);
}

TEST_F(ContainerForwardTest, AnnouncesWhatWasRotatedAway) {
  LogWriter writer(log(), 128 << 10);
  writer.say("one\n", 1);
  EXPECT_TRUE(forward());
  for (int i = 0; i < 3000; ++i)
    writer.say("line " + std::to_string(i) + std::string(60, 'x') + "\n", i);
  restart();
  EXPECT_TRUE(forward());
  const auto all = kept(kStream);
  ASSERT_EQ(all.dropped.size(), 1U);
  EXPECT_EQ(all.dropped[0], (telemetry::Dropped{2, 1, "LogRotated"}));
  EXPECT_TRUE(all.messages.back().starts_with("line 2999x"));
}

// The newest name is not there for a moment, which leaves three files.
TEST_F(ContainerForwardTest, AnnouncesItAlsoInTheMiddleOfARotation) {
  for (const bool again : {false, true}) {
    const uint64_t lost = kept(kStream).lost;
    LogWriter writer(log(), 128 << 10);
    writer.say("one\n", 1);
    EXPECT_TRUE(forward());
    for (int i = 0; i < 3000; ++i) {
      writer.say("line " + std::to_string(i) + std::string(60, 'x') + "\n", i);
    }
    for (int n = 3; n > 0; --n) {
      const std::string from = n == 1 ? log() : log() + "." + std::to_string(n - 1);
      ASSERT_EQ(rename(from.c_str(), (log() + "." + std::to_string(n)).c_str()), 0);
    }
    if (again) restart();
    EXPECT_TRUE(forward());
    EXPECT_EQ(kept(kStream).lost, lost + 1) << again;
  }
  EXPECT_TRUE(kept(kStream).messages.back().starts_with("line 2999x"));
}

TEST_F(ContainerForwardTest, AnnouncesThatTheBeginningWasRotatedAway) {
  LogWriter writer(log(), 128 << 10);
  for (int i = 0; i < 3000; ++i) {
    writer.say("line " + std::to_string(i) + std::string(60, 'x') + "\n", i);
  }
  EXPECT_TRUE(forward());
  const auto all = kept(kStream);
  ASSERT_EQ(all.dropped.size(), 1U);
  EXPECT_EQ(all.dropped[0], (telemetry::Dropped{1, 1, "LogRotated"}));
  EXPECT_TRUE(all.messages.back().starts_with("line 2999x"));
}

// Where nothing is worth a record for long, the place is kept all the same.
TEST_F(ContainerForwardTest, NothingIsMissedWhereNothingWasSaid) {
  LogWriter writer(log(), 128 << 10);
  writer.say("broken\n", 0, true);
  EXPECT_TRUE(forward(LogForward::Errors));
  for (int i = 1; i < 3000; ++i) {
    writer.say("fine " + std::string(60, 'x') + "\n", i);
    if (i % 200 == 0) {
      EXPECT_TRUE(forward(LogForward::Errors));
    }
  }
  restart();
  writer.say("broken again\n", 3000, true);
  EXPECT_TRUE(forward(LogForward::Errors));
  EXPECT_EQ(kept(kStream).messages, (Messages{"broken", "broken again"}));
  EXPECT_EQ(kept(kStream).lost, 0U);
}

// … also of a log whose beginning had been rotated away before the first look.
TEST_F(ContainerForwardTest, AFirstLookThatFindsNothingIsNotRepeated) {
  LogWriter writer(log(), 128 << 10);
  for (int i = 0; i < 3000; ++i) writer.say("fine " + std::string(60, 'x') + "\n", i);
  EXPECT_TRUE(forward(LogForward::Errors));
  EXPECT_NE(telemetry_->cursor(kStream), "");
  writer.say("broken\n", 3000, true);
  EXPECT_TRUE(forward(LogForward::Errors));
  const auto all = kept(kStream);
  EXPECT_EQ(all.messages, Messages{"broken"});
  ASSERT_EQ(all.dropped.size(), 1U);
  EXPECT_EQ(all.dropped[0], (telemetry::Dropped{1, 1, "LogRotated"}));
}

TEST_F(ContainerForwardTest, TheQueueOfLogsHasItsCap) {
  max_bytes_ = 200 << 10;
  restart();
  LogWriter writer(log());
  for (int i = 0; i < 5000; ++i) {
    writer.say(std::to_string(i) + std::string(100, 'x') + "\n", i);
    if (i % 100 == 0) {
      EXPECT_TRUE(forward());
    }
  }
  EXPECT_TRUE(forward());
  const auto all = kept(kStream);
  EXPECT_EQ(all.dropped.at(0).reason, "QueueFull");
  EXPECT_EQ(all.messages.size() + all.lost, 5000U);
  EXPECT_TRUE(all.messages.back().starts_with("4999x"));
  EXPECT_LE(telemetry_->streams().at(0).bytes, 210 << 10);
}

TEST_F(ContainerForwardTest, TheSmallestQueueTakesTheLargestLines) {
  max_bytes_ = 1;
  restart();
  LogWriter writer(log());
  for (int i = 0; i < 5; ++i) writer.say(std::string(16'000, '\x01') + "\n", i);
  EXPECT_TRUE(forward());
  EXPECT_EQ(kept(kStream).messages.size() + kept(kStream).lost, 5U);
}

}  // namespace
}  // namespace wherry
