// Looks beside each other, each with its time, and none that can hold up the rest.

#include "agent/check/checker.h"

#include <atomic>
#include <future>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "agent/check/probes.h"
#include "tests/support/wait.h"

namespace wherry::check {
namespace {

using nlohmann::json;
using test::wait_until;

std::atomic<bool> released{false};
std::atomic<int> hanging{0};

Findings is_well(const Scene&) { return {ok("well", "", "it is")}; }
Findings hangs(const Scene&) {
  ++hanging;
  const bool let_go = wait_until([] { return released.load(); });
  --hanging;
  return {ok("hangs", "", let_go ? "at last" : "never")};
}
Findings heeds(const Scene& scene) {
  ++hanging;
  while (!scene.cancel.wait_for(std::chrono::hours(1))) {
  }
  --hanging;
  return {};
}
Findings throws(const Scene&) { throw std::runtime_error("no such thing"); }

struct CheckerTest : testing::Test {
  CheckerTest() { released = false; }
  ~CheckerTest() override {
    released = true;
    EXPECT_TRUE(wait_until([] { return hanging == 0; }));
  }
};

TEST_F(CheckerTest, WhatHangsIsAFindingAndTheRestIsThere) {
  Checker checker({}, {{"hangs", hangs, "wait"}, {"well", is_well, ""}},
                  std::chrono::milliseconds(50));
  for (int i = 0; i < 3; ++i) {
    Findings findings;
    // On a busy machine the other one may not have had its turn within the time either.
    ASSERT_TRUE(wait_until([&] {
      findings = checker.run(std::nullopt, {}).value();
      return findings.size() == 2 && findings[1].level == Level::Ok && hanging > 0;
    }));
    EXPECT_EQ(findings[0].level, Level::Fail);
    EXPECT_EQ(findings[0].seen, "the look at it did not end within 50ms");
    EXPECT_EQ(findings[0].mend, "wait");
    EXPECT_EQ(hanging, 1) << "it is not begun again while it hangs";
  }
  EXPECT_FALSE(checker.stop()) << "it cannot be cancelled";
}

TEST_F(CheckerTest, OneThatThrowsIsAFinding) {
  Checker checker({}, {{"throws", throws, ""}, {"well", is_well, ""}});
  const auto findings = checker.run(std::nullopt, {});
  ASSERT_TRUE(findings);
  EXPECT_EQ((*findings)[0].level, Level::Fail);
  EXPECT_THAT((*findings)[0].seen, testing::HasSubstr("no such thing"));
  EXPECT_EQ(worst(*findings), Level::Fail);
}

TEST_F(CheckerTest, IsBrokenOffByWhoAskedAndByTheEnd) {
  for (const bool by_end : {false, true}) {
    Checker checker({}, {{"heeds", heeds, ""}}, std::chrono::hours(1));
    CancelToken cancel;
    auto result = std::async(std::launch::async, [&] { return checker.run(std::nullopt, cancel); });
    ASSERT_TRUE(wait_until([] { return hanging == 1; }));
    if (by_end) {
      checker.stop();
    } else {
      cancel.cancel();
    }
    const auto findings = result.get();
    ASSERT_FALSE(findings);
    EXPECT_EQ(findings.error().code(), Code::Cancelled);
    EXPECT_TRUE(wait_until([] { return hanging == 0; }));
  }
}

TEST_F(CheckerTest, OneThatWaitsForItsTurnIsBrokenOffToo) {
  Checker checker({}, {{"heeds", heeds, ""}}, std::chrono::hours(1));
  CancelToken first, second;
  const auto run = [&checker](const CancelToken& cancel) {
    return std::async(std::launch::async, [&] { return checker.run(std::nullopt, cancel); });
  };
  auto runs = run(first);
  ASSERT_TRUE(wait_until([] { return hanging == 1; }));
  auto waits = run(second);
  second.cancel();
  const auto findings = waits.get();
  ASSERT_FALSE(findings);
  EXPECT_EQ(findings.error().code(), Code::Cancelled);
  EXPECT_EQ(hanging, 1) << "whose turn it is goes on";
  first.cancel();
  EXPECT_FALSE(runs.get());
}

TEST_F(CheckerTest, AReloadCounts) {
  Checker checker(
      {}, {{"id",
            [](const Scene& scene) -> Findings { return {ok("id", "", scene.config().device.id)}; },
            ""}});
  Config config;
  config.device.id = "pump-7";
  EXPECT_EQ(checker.run(std::nullopt, {})->front().seen, "");
  checker.use(config);
  EXPECT_EQ(checker.run(std::nullopt, {})->front().seen, "pump-7");
}

TEST_F(CheckerTest, AnApiThatIsNotServedOverTcpIsToldWhy) {
  auto subject = std::make_shared<Subject>();
  subject->config.api.listen = "127.0.0.1:7070";
  const auto look = [&](Status tcp) {
    Findings found = look_at_daemon(
        {subject, Knowledge{std::make_shared<StateView>(), {}, {}, std::move(tcp)}, {}});
    std::erase_if(found, [](const Finding& each) { return each.about != "127.0.0.1:7070"; });
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? Finding{} : found[0];
  };
  EXPECT_EQ(look({}).level, Level::Ok);
  const Finding away = look(fail(Code::AlreadyExists, "Address already in use"));
  EXPECT_EQ(away.level, Level::Fail);
  EXPECT_THAT(away.seen, testing::HasSubstr("in use"));
  EXPECT_THAT(away.mend, testing::HasSubstr("ss -ltnp"));
}

TEST_F(CheckerTest, TheReportHasTheWorstOfIt) {
  const WallTime at(std::chrono::seconds(1'790'000'000));
  EXPECT_EQ(json::parse(to_json({}, at))["result"], "ok");
  const json report = json::parse(to_json(
      {ok("a", "", "fine"), failed("b", "x", "bad \xff", "mend it"), warn("c", "", "so", "do")},
      at));
  EXPECT_EQ(report["result"], "fail");
  EXPECT_EQ(report["findings"][1]["name"], "b");
  EXPECT_EQ(report["findings"][1]["about"], "x");
  EXPECT_EQ(report["findings"][1]["mend"], "mend it");
  EXPECT_EQ(report["findings"][2]["result"], "warn");
}

}  // namespace
}  // namespace wherry::check
