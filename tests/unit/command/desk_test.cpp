// At most once, across lives of the agent that end at any step, and an answer each time.

#include <gtest/gtest.h>

#include "tests/unit/command/desk_fixture.h"

namespace wherry {
namespace {

TEST_F(DeskTest, EachCommandIsAnsweredWithItsResult) {
  options_.allow["exec"] = true;
  new_life();
  EXPECT_EQ(ask("1", R"({"command":"ping"})")["result"]["device"], "dev-1");
  EXPECT_EQ(ask("2", R"({"command":"status"})")["result"]["kind"], "ReportedState");
  EXPECT_EQ(ask("3", kRestart), json::parse(R"({"ok":true,"result":{"workload":"web"}})"));
  EXPECT_EQ(order_.kind, OrderKind::Restart);
  EXPECT_EQ(order_.given_by, "over MQTT (devices/dev-1, request 3)");
  EXPECT_EQ(ask("4", R"({"command":"pull","args":{"image":"web:1"}})")["result"]["image"]["digest"],
            "sha256:1");
  EXPECT_EQ(code(ask("5", R"({"command":"pull","args":{"image":"x:1"}})")), "NotFound");
  EXPECT_EQ(ask("6", R"({"command":"prune"})")["result"]["freedBytes"], 9);
  const json exec =
      ask("7", R"({"command":"exec","args":{"workload":"web","argv":["echo","12345"],)"
               R"("maxOutput":3}})");
  EXPECT_EQ(exec["result"],
            json::parse(R"({"exitCode":0,"stdout":"123","stderr":"","truncated":true})"));
  const json plan = ask("8", R"({"command":"plan","args":{"document":{"kind":"x"}}})");
  EXPECT_EQ(plan["result"]["source"], "devices/dev-1") << "the device's own, unless it says whose";
  EXPECT_EQ(plan["result"]["payload"], R"({"kind":"x"})");
  const json bad = ask("9", R"({"command":"plan","args":{"document":"x","source":"groups/g"}})");
  EXPECT_EQ(code(bad), "InvalidArgument");
  EXPECT_EQ(bad["error"]["message"], "the document would not be accepted: kind: is wrong; more");
  EXPECT_EQ(ask("10", R"({"command":"check"})")["result"]["result"], "ok");
  EXPECT_EQ(ask("11", R"({"command":"support-bundle"})")["result"]["bytes"], 7);
}

TEST_F(DeskTest, LogsAreWhatIsAskedFor) {
  for (int i = 0; i < 200; ++i) {
    logs_.lines.push_back("2026-09-21T14:13:20.000" + std::to_string(100 + i) + "Z line " +
                          std::to_string(i) + "\n");
  }
  const auto text = [&](const std::string& id, const std::string& more) {
    const json result = ask(id, R"({"command":"logs","args":{"workload":"web")" + more + "}}");
    return result["result"]["text"].get<std::string>();
  };
  EXPECT_THAT(text("1", ""), ::testing::StartsWith(logs_.lines[100]));
  EXPECT_EQ(logs_.asked.tail, 100);
  EXPECT_EQ(text("2", R"(,"tail":2)"), logs_.lines[198] + logs_.lines[199]);
  EXPECT_EQ(text("3", R"(,"pattern":"line 17","tail":3)"),
            logs_.lines[177] + logs_.lines[178] + logs_.lines[179]);
  EXPECT_EQ(text("4", R"(,"until":"2026-09-21T14:13:20.000101Z")"),
            logs_.lines[0] + logs_.lines[1]);
  EXPECT_EQ(text("5", R"(,"pattern":"2026")"), "") << "the time is not the line's";
  logs_.lines.assign(20, "2026-09-21T14:13:20.000Z " + std::string(100'000, 'x') + "\n");
  const json large = ask("6", R"({"command":"logs","args":{"workload":"web"}})");
  EXPECT_EQ(large["result"]["truncated"], true);
  EXPECT_LE(large["result"]["text"].get<std::string>().size(), kMostLogBytes);
  const json again = ask("6", "");
  EXPECT_LE(last_.payload.size(), CommandDesk::kMostKept);
  EXPECT_TRUE(again.contains("cut")) << "what is kept is smaller";
  logs_.lines.clear();
  EXPECT_EQ(text("7", ""), "") << "it has printed nothing yet";
  EXPECT_EQ(code(ask("8", R"({"command":"logs","args":{"workload":"nope"}})")), "NotFound");
  EXPECT_EQ(code(ask("9", R"({"command":"logs","args":{"workload":"web","container":"x"}})")),
            "NotFound");
}

TEST_F(DeskTest, TheSameRequestAgainGetsTheSameAnswerAndIsNotCarriedOut) {
  const json first = ask("r", kRestart);
  EXPECT_EQ(ask("r", kRestart), first);
  EXPECT_EQ(ask("r", R"({"command":"ping"})"), first) << "whatever it says now";
  EXPECT_EQ(ask("r", "not even JSON"), first);
  EXPECT_EQ(orders_, 1);
  new_life();
  EXPECT_EQ(answer("r"), first) << "no broker had acknowledged it";
  EXPECT_EQ(ask("r", kRestart), first);
  EXPECT_EQ(orders_, 1);
}

TEST_F(DeskTest, ARequestCountsOnceWhateverTopicItComesOn) {
  CommandMessage group = message("r", kRestart);
  group.source = "groups/g";
  desk_->receive(group);
  json first = answer("r");
  EXPECT_EQ(first["ok"], true);
  EXPECT_FALSE(first.contains("source")) << "who asked where it came from knows";
  group.source = "groups/h";
  desk_->receive(group);
  first["source"] = "groups/g";
  EXPECT_EQ(answer("r"), first);
  EXPECT_EQ(ask("r", kRestart), first);
  EXPECT_EQ(orders_, 1);
  new_life();
  EXPECT_EQ(answer("r"), first) << "nor in another life";
  EXPECT_EQ(ask("r", kRestart), first);
  EXPECT_EQ(orders_, 1);
}

TEST_F(DeskTest, ARequestUnderWayCountsOnceToo) {
  options_.allow["exec"] = true;
  new_life();
  CommandMessage group = message("r", kWait);
  group.source = "groups/g";
  desk_->receive(group);
  ASSERT_TRUE(wait_until([&] { return execs_.begun == 1; }));
  send("r", kWait);
  EXPECT_EQ(ask("after", R"({"command":"ping"})")["ok"], true);
  execs_.let_go = true;
  EXPECT_EQ(answer("r")["source"], "groups/g");
  EXPECT_EQ(execs_.begun, 1);
}

TEST_F(DeskTest, OfManyAnswersThatNobodyFetchedTheNewestAreSentAgain) {
  max_rows_ = 200;
  new_life();
  for (int i = 0; i < 100; ++i) ask("r" + std::to_string(i), kRestart);
  new_life();
  for (int i = 36; i < 100; ++i) answer("r" + std::to_string(i));
  EXPECT_EQ(ask("last", R"({"command":"ping"})")["ok"], true) << "and no other";
  desk_->stop();
  desk_->answered(last_.ticket);
  new_life();
  for (int i = 36; i < 100; ++i) answer("r" + std::to_string(i));
  EXPECT_EQ(ask("r0", kRestart)["ok"], true) << "for who asks it is there";
  EXPECT_EQ(orders_, 100);
}

TEST_F(DeskTest, AcknowledgedAnswersAreNotSentAgain) {
  ask("r", kRestart);
  desk_->answered(last_.ticket);
  ask("s", kRestart);
  desk_->stop();
  desk_->answered(last_.ticket);  // while the link takes its leave
  new_life();
  EXPECT_EQ(ask("t", R"({"command":"ping"})")["ok"], true) << "and nothing before it";
}

TEST_F(DeskTest, AnswersGoWhereTheyAreAskedForLast) {
  CommandMessage asked = message("r", kRestart);
  asked.response_topic = "mine";
  asked.correlation = std::string("\0x", 2);
  desk_->receive(asked);
  answer("r");
  EXPECT_EQ(last_.response_topic, "mine");
  EXPECT_EQ(last_.correlation, std::string("\0x", 2));
  new_life();
  answer("r");
  EXPECT_EQ(last_.response_topic, "mine");
  EXPECT_EQ(last_.correlation, std::string("\0x", 2));
  asked.response_topic = "other";
  asked.correlation = "y";
  desk_->receive(asked);
  answer("r");
  EXPECT_EQ(last_.response_topic, "other");
  new_life();
  answer("r");
  EXPECT_EQ(last_.response_topic, "other");
  EXPECT_EQ(last_.correlation, "y");
}

struct Step {
  std::string failpoint;
  int executed;          // by then
  std::string code;      // of the answer in the next life
  bool answered = true;  // the next life does so by itself
};
void PrintTo(const Step& step, std::ostream* out) { *out << step.failpoint; }

class CutOffTest : public DeskTest, public ::testing::WithParamInterface<Step> {};

// An "error" at these points ends the work on the command just as the end of the agent would.
TEST_P(CutOffTest, AtMostOnceAndAnswered) {
  const Step& step = GetParam();
  failpoints_arm(step.failpoint + "=error");
  send("r", kRestart);
  send("barrier", "not a command");
  ASSERT_TRUE(wait_until([&] { return count() > 0; }));
  new_life();
  EXPECT_EQ(orders_, step.executed);
  if (step.answered) {
    EXPECT_EQ(code(answer("r")), step.code);
  }
  const json again = ask("r", kRestart);
  EXPECT_EQ(code(again), step.code);
  EXPECT_EQ(orders_, step.answered ? step.executed : 1);
  EXPECT_EQ(ask("r", kRestart), again);
  EXPECT_LE(orders_, 1);
}

INSTANTIATE_TEST_SUITE_P(Steps, CutOffTest,
                         ::testing::Values(Step{"store.take_command.commit", 0, "", false},
                                           Step{"command.recorded", 0, "Interrupted"},
                                           Step{"command.carried-out", 1, "Interrupted"},
                                           Step{"store.answer_command.commit", 1, "Interrupted"},
                                           Step{"command.answer-kept", 1, ""}));

TEST_F(DeskTest, WhatCannotBeRecordedIsNotCarriedOut) {
  failpoints_arm("store.take_command.commit=error@1");
  const json refused = ask("r", kRestart);
  EXPECT_EQ(code(refused), "Internal");
  EXPECT_THAT(refused["error"]["message"].get<std::string>(), HasSubstr("it was not carried out"));
  EXPECT_EQ(orders_, 0);
  failpoints_arm("");
  EXPECT_EQ(ask("r", kRestart)["ok"], true) << "so it may be sent again";
  EXPECT_EQ(orders_, 1);
}

TEST_F(DeskTest, RefusalsNameTheMistakeAndChangeNothing) {
  CommandMessage retained = message("r", kRestart);
  retained.retained = true;
  desk_->receive(retained);
  json refused = answer("r");
  EXPECT_EQ(code(refused), "InvalidArgument");
  EXPECT_THAT(refused["error"]["message"].get<std::string>(), HasSubstr("must not be retained"));
  refused = ask("bad id", kRestart);
  EXPECT_EQ(code(refused), "InvalidArgument");
  EXPECT_THAT(refused["error"]["message"].get<std::string>(), HasSubstr("request id"));
  EXPECT_EQ(code(ask("x", std::string(1u << 20, 'x'))), "InvalidArgument");
  refused = ask("e", R"({"command":"exec","args":{"workload":"web","argv":["ls"]}})");
  EXPECT_EQ(code(refused), "PermissionDenied");
  EXPECT_THAT(refused["error"]["message"].get<std::string>(),
              HasSubstr("security.allow.exec: true"));
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(execs_.begun, 0);
  EXPECT_TRUE(store_->open_commands(64).value().empty()) << "nothing is written for a refusal";
  order_answer_ = fail(Code::NotFound, "there is no workload \"web\"");
  EXPECT_EQ(code(ask("n", kRestart)), "NotFound");
}

TEST_F(DeskTest, SwitchesAreObeyed) {
  options_.allow = {{"exec", true}, {"restart", false}};
  new_life();
  EXPECT_EQ(code(ask("1", kRestart)), "PermissionDenied");
  EXPECT_EQ(ask("2", R"({"command":"exec","args":{"workload":"web","argv":["a"]}})")["ok"], true);
}

TEST_F(DeskTest, SlowOnesWaitApartAndAreBounded) {
  options_.allow["exec"] = true;
  new_life();
  for (size_t i = 0; i < CommandDesk::kMostSlow; ++i) send("w" + std::to_string(i), kWait);
  EXPECT_EQ(code(ask("one-more", kWait)), "TooManyCommands");
  EXPECT_EQ(ask("quick", R"({"command":"ping"})")["ok"], true) << "it does not wait for them";
  EXPECT_TRUE(wait_until([&] { return execs_.begun == int{CommandDesk::kSlowThreads}; }));
  send("w0", kWait);  // while it is under way: neither a second run nor a second answer
  EXPECT_EQ(ask("after", R"({"command":"ping"})")["ok"], true);
  execs_.let_go = true;
  for (size_t i = 0; i < CommandDesk::kMostSlow; ++i) {
    ASSERT_TRUE(wait_until([&] { return count() > 0; })) << i;
    const std::lock_guard lock(mutex_);
    answers_.pop_front();
  }
  EXPECT_EQ(ask("last", R"({"command":"ping"})")["ok"], true) << "and no other answer";
  EXPECT_EQ(execs_.begun, int{CommandDesk::kMostSlow});
}

TEST_F(DeskTest, StoppingTheAgentCutsOffWhatIsUnderWay) {
  options_.allow["exec"] = true;
  new_life();
  for (const char* id : {"a", "b", "c"}) send(id, kWait);
  ASSERT_TRUE(wait_until([&] { return execs_.begun == 2; }));
  desk_->stop();
  EXPECT_GE(count(), 2u) << "those that had begun say so at once";
  new_life();
  for (const char* id : {"a", "b", "c"}) EXPECT_EQ(code(answer(id)), "Interrupted");
}

TEST_F(DeskTest, TheTableIsCappedAndTheOldestAnsweredGoFirst) {
  for (int i = 0; i < 30; ++i) ask("r" + std::to_string(i), kRestart);
  EXPECT_EQ(orders_, 30);
  EXPECT_FALSE(store_->find_command("r0").value());
  EXPECT_TRUE(store_->find_command("r29").value());
  ask("r29", kRestart);
  EXPECT_EQ(orders_, 30);
}

TEST_F(DeskTest, AFloodIsAnsweredOrRefusedNeverSwallowed) {
  constexpr size_t kFlood = 500;
  for (size_t i = 0; i < kFlood; ++i) send("r" + std::to_string(i), kRestart);
  EXPECT_TRUE(wait_until([&] { return count() == kFlood; })) << count();
  size_t done = 0;
  const std::lock_guard lock(mutex_);
  for (const CommandAnswer& each : answers_) {
    const json answer = json::parse(each.payload);
    if (answer["ok"] == true) ++done;
    EXPECT_TRUE(answer["ok"] == true || code(answer) == "TooManyCommands") << each.payload;
  }
  EXPECT_EQ(static_cast<size_t>(orders_), done);
}

}  // namespace
}  // namespace wherry
