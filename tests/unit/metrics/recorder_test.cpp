// What is sent, and what has not moved enough to be.

#include "telemetry/metrics/recorder.h"

#include <atomic>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "telemetry/metrics/catalogue.h"
#include "telemetry/metrics/sampler.h"
#include "tests/support/wait.h"

namespace wherry::telemetry {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr Metric kLevel{"level", "x", MetricType::Gauge, "load", "level", Sent::Value, 10, 0.5};
constexpr Metric kFixed{"fixed", "x", MetricType::Gauge, "memory", "fixed", Sent::WhenFull};
constexpr Metric kBusy{"busy_seconds_total", "x", MetricType::Counter, "cpu", "busy",
                       Sent::RatePerCpu,     0.1};
constexpr Metric kPlain{"plain", "x", MetricType::Gauge, "", "", Sent::Never};

class RecorderTest : public testing::Test {
 protected:
  RecorderTest() { make({}); }
  void make(RecorderOptions options) {
    if (options.node.empty()) options.node = {"load", "memory", "cpu"};
    if (options.containers.empty()) options.containers = {"cpu", "memory", "oom", "network"};
    recorder_ = std::make_unique<Recorder>(options);
  }
  // Null where there is none.
  json take(const Readings& readings, Duration later = 60s) {
    clock_.advance(later);
    const auto record = recorder_->take(readings, clock_.now(), clock_.wall());
    urgent_ = record && record->urgent;
    if (!record) return nullptr;
    json parsed = json::parse(record->json);
    EXPECT_EQ(parsed["at"], to_rfc3339(clock_.wall()));
    parsed.erase("at");
    return parsed;
  }
  static Readings level(double value) { return {{&kLevel, {}, value}}; }

  FakeClock clock_;
  bool urgent_ = false;
  std::unique_ptr<Recorder> recorder_;
};

TEST_F(RecorderTest, TheFirstIsFullAndWhatDoesNotMoveIsLeftOut) {
  EXPECT_EQ(take(level(100)), json::parse(R"({"full":true,"node":{"level":100}})"));
  EXPECT_EQ(take(level(150)), nullptr) << "half is the dead-band";
  EXPECT_EQ(take(level(151)), json::parse(R"({"node":{"level":151}})"));
  EXPECT_EQ(take(level(100)), nullptr) << "measured from what was sent";
  EXPECT_EQ(take(level(75)), json::parse(R"({"node":{"level":75}})"));
}

TEST_F(RecorderTest, SlowDriftIsSeen) {
  take(level(0));
  EXPECT_EQ(take(level(6)), nullptr);
  EXPECT_EQ(take(level(10)), nullptr);
  EXPECT_EQ(take(level(10.5)), json::parse(R"({"node":{"level":10.5}})"));
}

TEST_F(RecorderTest, OneInFifteenIsFull) {
  const Readings readings{{&kLevel, {}, 1}, {&kFixed, {}, 7}};
  for (int i = 0; i < 45; ++i) {
    const json sample = take(readings);
    if (i % 15 == 0) {
      EXPECT_EQ(sample, json::parse(R"({"full":true,"node":{"level":1,"fixed":7}})")) << i;
    } else {
      EXPECT_EQ(sample, nullptr) << i;
    }
  }
}

TEST_F(RecorderTest, RatesAreOfTheTimeBetweenSamplesAndPerProcessor) {
  make({.cpus = 4});
  const auto busy = [](double value) { return Readings{{&kBusy, {{"mode", "user"}}, value}}; };
  EXPECT_EQ(take(busy(1000)), nullptr) << "nothing to compare with";
  EXPECT_EQ(take(busy(1120)), json::parse(R"({"node":{"busy":{"user":0.5}}})"));
  EXPECT_EQ(take(busy(1240)), nullptr);
  EXPECT_EQ(take(busy(1480), 120s), nullptr) << "the same over a longer time";
  EXPECT_EQ(take(busy(5)), nullptr) << "it began anew";
  EXPECT_EQ(take(busy(5)), json::parse(R"({"node":{"busy":{"user":0}}})"));
  EXPECT_EQ(take({}), nullptr);
  EXPECT_EQ(take(busy(500)), nullptr) << "a sample was missed: not since when";
}

TEST_F(RecorderTest, ContainersAndPodsHaveTheirOwnPlaces) {
  const Labels container{{kWorkload, "web"}, {kContainer, "nginx"}};
  const Readings readings{{&kContainerWorkingSet, container, 5e6},
                          {&kContainerRestarts, container, 2},
                          {&kPodReceived, {{kWorkload, "web"}}, 1234},
                          {&kPlain, {}, 1}};
  EXPECT_EQ(take(readings), json::parse(R"({"full":true,
      "containers":{"web/nginx":{"memoryWorkingSetBytes":5000000}},
      "pods":{"web":{"networkReceiveBytes":1234}}})"))
      << "state is not among the groups asked for";
}

TEST_F(RecorderTest, OnlyTheGroupsAskedForAreSent) {
  make({.node = {"memory"}});
  EXPECT_EQ(take({{&kLevel, {}, 1}, {&kFixed, {}, 7}}),
            json::parse(R"({"full":true,"node":{"fixed":7}})"));
}

TEST_F(RecorderTest, NumbersAreShortAndWholeWhereTheyAre) {
  clock_.advance(1s);
  const auto text = recorder_->take({{&kLevel, {}, 1.23456789}, {&kFixed, {}, 4294967296.0}},
                                    clock_.now(), clock_.wall());
  ASSERT_TRUE(text);
  EXPECT_NE(text->json.find(R"("level":1.235,"fixed":4294967296})"), std::string::npos)
      << text->json;
}

TEST_F(RecorderTest, AnOomKillIsUrgentAndItsFirstSightIsNot) {
  const auto kills = [](double value) {
    return Readings{{&kContainerOomKills, {{kWorkload, "web"}, {kContainer, "web"}}, value}};
  };
  take(kills(3));
  EXPECT_FALSE(urgent_);
  EXPECT_EQ(take(kills(3)), nullptr);
  EXPECT_NE(take(kills(4)), nullptr);
  EXPECT_TRUE(urgent_);
}

TEST_F(RecorderTest, AContainerThatComesBackIsToldAgain) {
  const Readings with{{&kContainerWorkingSet, {{kWorkload, "a"}, {kContainer, "a"}}, 5e6}};
  take(with);
  take({});
  EXPECT_NE(take(with), nullptr);
}

// --- the sampler

class SamplerTest : public testing::Test {
 protected:
  void make(Duration interval, Duration gather) {
    SamplerOptions options;
    options.interval = interval;
    options.gather = gather;
    options.recorder.node = {"load"};
    options.recorder.containers = {"oom"};
    sampler_ = std::make_unique<Sampler>(
        options, clock_, [this] { return ++collected_, readings_; },
        [this](std::vector<std::string> records) { delivered_.push_back(records.size()); });
  }
  void sample(double value) {
    readings_ = {{&kLevel, {}, value}};
    sampler_->sample();
    clock_.advance(60s);
  }

  FakeClock clock_;
  Readings readings_;
  std::atomic<int> collected_{0};
  std::vector<size_t> delivered_;
  std::unique_ptr<Sampler> sampler_;
};

TEST_F(SamplerTest, RecordsGoTogether) {
  make(60s, 5min);
  for (int i = 0; i < 11; ++i) sample(i % 2 * 100);
  EXPECT_EQ(delivered_, std::vector<size_t>{6}) << "from the first on, five minutes later";
  sampler_->stop();
  EXPECT_EQ(delivered_, (std::vector<size_t>{6, 5})) << "what was gathered is not lost";
}

TEST_F(SamplerTest, WhatDoesNotMoveIsDeliveredInTimeAllTheSame) {
  make(60s, 5min);
  for (int i = 0; i < 6; ++i) sample(1);
  EXPECT_EQ(delivered_, std::vector<size_t>{1});
}

TEST_F(SamplerTest, WithoutGatheringEachGoesAtOnce) {
  make(60s, 0s);
  for (int i = 0; i < 3; ++i) sample(i * 100);
  EXPECT_EQ(delivered_, (std::vector<size_t>{1, 1, 1}));
}

TEST_F(SamplerTest, WhatIsUrgentTakesTheOthersAlong) {
  make(60s, 5min);
  const auto kills = [&](double value) {
    readings_ = {{&kContainerOomKills, {{kWorkload, "a"}, {kContainer, "a"}}, value}};
    sampler_->sample();
  };
  kills(0);
  kills(1);
  EXPECT_EQ(delivered_, std::vector<size_t>{2});
}

TEST_F(SamplerTest, WithoutAnIntervalNothingIsReadAtAll) {
  make(0s, 5min);
  sampler_->start();
  sampler_->stop();
  EXPECT_EQ(collected_, 0);
  EXPECT_TRUE(delivered_.empty());
}

TEST_F(SamplerTest, TheThreadSamplesAndStopsAtOnce) {
  make(1h, 0s);
  readings_ = {{&kLevel, {}, 1}};
  sampler_->start();
  EXPECT_TRUE(test::wait_until([&] { return collected_ > 0; }));
  sampler_->stop();
  EXPECT_EQ(delivered_, std::vector<size_t>{1});
}

}  // namespace
}  // namespace wherry::telemetry
