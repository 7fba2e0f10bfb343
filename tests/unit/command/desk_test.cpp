// At most once, across lives of the agent that end at any step, and an answer each time.

#include <atomic>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "agent/command/command_desk.h"
#include "agent/signing/jws.h"
#include "base/failpoint.h"
#include "base/files.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace wherry {
namespace {

using nlohmann::json;
using test::run_ok;
using test::wait_until;
using ::testing::HasSubstr;

class FewLogs final : public runtime::Logs {
 public:
  Status read(const runtime::LogQuery& query, const LineSink& sink, CancelToken) override {
    asked = query;
    if (lines.empty()) return fail(Code::NotFound, "no log");
    std::string all;
    for (const std::string& line : lines) all += line;
    sink(all);
    return {};
  }
  runtime::LogQuery asked;
  std::vector<std::string> lines;
};

class NoImages final : public runtime::Images {
 public:
  Result<runtime::Image> find(const std::string& reference) override {
    return fail(Code::NotFound, reference);
  }
  Result<runtime::Image> pull(const runtime::PullRequest& request, CancelToken) override {
    if (request.reference != "web:1") return fail(Code::NotFound, "no " + request.reference);
    return runtime::Image{"web:1", "sha256:1", 7};
  }
  Result<std::vector<runtime::Image>> list() override { return std::vector<runtime::Image>(); }
  Result<std::vector<runtime::Image>> import_archive(const std::string&, CancelToken) override {
    return std::vector<runtime::Image>();
  }
  Status remove(const std::string&) override { return {}; }
  Status drop_abandoned(const std::vector<std::string>&) override { return {}; }
  Result<runtime::PruneReport> prune(const runtime::PruneRequest&, CancelToken) override {
    return runtime::PruneReport{};
  }
};

// Echoes; "wait" lasts until it is cancelled or let go.
class EchoExecs final : public runtime::Execs {
 public:
  Result<runtime::ExecResult> exec(const runtime::ExecRequest& request,
                                   CancelToken cancel) override {
    ++begun;
    if (request.argv[0] == "wait") {
      while (!cancel.wait_for(std::chrono::milliseconds(1)) && !let_go) {
      }
      if (cancel.cancelled()) return fail(Code::Cancelled, "cancelled");
    }
    return runtime::ExecResult{0, request.argv.back().substr(0, request.max_output), ""};
  }
  std::atomic<int> begun{0};
  std::atomic<bool> let_go{false};
};

class DeskTest : public ::testing::Test {
 protected:
  DeskTest() {
    StateView state;
    state.device.id = "dev-1";
    state.workloads.resize(1);
    state.workloads[0].name = "web";
    state.workloads[0].containers.resize(1);
    state.workloads[0].containers[0].name = "app";
    state.workloads[0].containers[0].id = "id-1";
    state.workloads[0].containers[0].state = "running";
    board_.set(std::make_shared<const StateView>(state));
    open();
  }
  ~DeskTest() override { failpoints_arm(""); }

  void open() {
    StoreOptions options;
    options.path = dir_ / "wherry.db";
    options.max_command_rows = max_rows_;
    auto opened = Store::open(options);
    ASSERT_TRUE(opened) << opened.error().full();
    store_ = std::move(opened->store);
    desk_ = std::make_unique<CommandDesk>(CommandDeskParts{*store_, commands_, clock_,
                                                           [this](CommandAnswer answer) {
                                                             const std::lock_guard lock(mutex_);
                                                             answers_.push_back(std::move(answer));
                                                             return true;
                                                           }},
                                          options_);
    desk_->start();
  }
  // The agent is killed and started again.
  void new_life() {
    desk_.reset();
    failpoints_arm("");
    store_.reset();
    {
      const std::lock_guard lock(mutex_);
      answers_.clear();
    }
    open();
  }
  static CommandMessage message(const std::string& request, const std::string& payload) {
    return {"devices/dev-1", request, payload, "", "", false};
  }
  void send(const std::string& request, const std::string& payload) {
    desk_->receive(message(request, payload));
  }
  size_t count() {
    const std::lock_guard lock(mutex_);
    return answers_.size();
  }
  // The next answer, which must be to `request`.
  json answer(const std::string& request) {
    if (!wait_until([&] { return count() > 0; })) {
      ADD_FAILURE() << "no answer to " << request;
      return {};
    }
    const std::lock_guard lock(mutex_);
    last_ = std::move(answers_.front());
    answers_.pop_front();
    EXPECT_EQ(last_.request, request);
    return json::parse(last_.payload, nullptr, false);
  }
  json ask(const std::string& request, const std::string& payload) {
    send(request, payload);
    return answer(request);
  }
  static std::string code(const json& answer) {
    return answer.value("ok", true) ? "" : answer["error"]["code"].get<std::string>();
  }

  static constexpr const char* kRestart = R"({"command":"restart","args":{"workload":"web"}})";
  static constexpr const char* kWait =
      R"({"command":"exec","args":{"workload":"web","argv":["wait"]}})";

  test::TempDir dir_;
  SystemClock clock_;
  StateBoard board_;
  FewLogs logs_;
  NoImages images_;
  EchoExecs execs_;
  std::atomic<int> orders_{0};
  Order order_;
  Status order_answer_;
  Commands commands_{CommandParts{board_,
                                  clock_,
                                  logs_,
                                  images_,
                                  execs_,
                                  [this](Order order, const CancelToken&) {
                                    ++orders_;
                                    order_ = std::move(order);
                                    return order_answer_;
                                  },
                                  [](const CancelToken&) -> Result<runtime::PruneReport> {
                                    return runtime::PruneReport{{{"old:1", "sha256:2", 5}}, 9, {}};
                                  },
                                  {}}};
  CommandRules options_;
  int64_t max_rows_ = 20;
  std::mutex mutex_;
  std::deque<CommandAnswer> answers_;
  CommandAnswer last_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<CommandDesk> desk_;
};

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
  for (const char* name : {"check", "support-bundle", "plan"}) {
    EXPECT_EQ(code(ask(std::string("u-") + name, R"({"command":")" + std::string(name) + "\"}")),
              "Unimplemented");
  }
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

// For this device, as this request, until then: whoever heard a signed command cannot use it again.
TEST_F(DeskTest, ASignedCommandIsBoundToItsPlaceAndTime) {
  const std::string keys = dir_ / "keys";
  std::filesystem::create_directory(keys);
  run_ok({"openssl", "genpkey", "-algorithm", "ed25519", "-out", dir_ / "ops.key"});
  run_ok({"openssl", "pkey", "-in", dir_ / "ops.key", "-pubout", "-out", keys + "/ops.pem"});
  const auto key = read_private_key(dir_ / "ops.key");
  ASSERT_TRUE(key) << key.error().full();
  options_.signatures = {true, keys};
  new_life();
  const auto in = [this](Duration wait) { return to_rfc3339(clock_.wall() + wait); };
  const auto with = [&](const json& changes) {
    json command = json::parse(kRestart);
    command["target"] = "devices/dev-1";
    command["request"] = "1";
    command["expires"] = in(std::chrono::minutes(5));
    command.merge_patch(changes);
    return *sign_jws(command.dump(), *key, "ops");
  };
  const auto refusal = [&](const std::string& payload) {
    const json refused = ask("1", payload);
    EXPECT_EQ(code(refused), "PermissionDenied");
    return refused["error"]["message"].get<std::string>();
  };
  EXPECT_THAT(refusal(kRestart), HasSubstr("require_signature"));
  EXPECT_THAT(refusal(with({{"target", nullptr}})), HasSubstr("for whom"));
  EXPECT_THAT(refusal(with({{"request", nullptr}})), HasSubstr("as which request"));
  EXPECT_THAT(refusal(with({{"expires", nullptr}})), HasSubstr("until when"));
  EXPECT_THAT(refusal(with({{"target", "devices/dev-2"}})), HasSubstr("is for devices/dev-2"));
  EXPECT_THAT(refusal(with({{"request", "2"}})), HasSubstr("is request 2"));
  EXPECT_THAT(refusal(with({{"expires", in(-std::chrono::seconds(5))}})), HasSubstr("expired at"));
  EXPECT_THAT(refusal(with({{"expires", in(std::chrono::hours(48))}})), HasSubstr("at most"));
  EXPECT_EQ(code(ask("1", with({{"expires", "soon"}}))), "InvalidArgument");
  EXPECT_EQ(code(ask("1", with({{"target", 1}}))), "InvalidArgument");
  EXPECT_EQ(orders_, 0);
  EXPECT_EQ(ask("1", with(json::object()))["ok"], true);
  EXPECT_EQ(orders_, 1);
  EXPECT_EQ(ask("1", with(json::object()))["ok"], true) << "answered again";
  EXPECT_EQ(orders_, 1) << "and not done again";
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
