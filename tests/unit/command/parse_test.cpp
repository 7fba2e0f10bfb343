// What is a command, what is none, and what is said about it.

#include <filesystem>
#include <random>

#include <gmock/gmock.h>

#include "agent/command/command.h"
#include "agent/config/config.h"
#include "base/files.h"
#include "tests/fuzz/command_invariants.h"

namespace wherry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const WallTime kNow{std::chrono::seconds(1'790'000'000)};

std::string error_of(std::string_view payload) {
  const auto command = parse_command(payload, kNow);
  EXPECT_FALSE(command) << payload;
  if (command) return {};
  EXPECT_EQ(command.error().code(), Code::InvalidArgument) << payload;
  return command.error().full();
}

Command good(std::string_view payload) {
  const auto command = parse_command(payload, kNow);
  EXPECT_TRUE(command) << payload << ": " << command.error().full();
  return command ? *command : Command{};
}

TEST(CommandTest, GoodOnesAreReadWhole) {
  EXPECT_EQ(good(R"({"command":"ping"})").kind, CommandKind::Ping);
  EXPECT_EQ(good(R"({"command":"status","args":{}})").kind, CommandKind::Status);
  const Command restart = good(R"({"command":"restart","args":{"workload":"web"}})");
  EXPECT_EQ(restart.kind, CommandKind::Restart);
  EXPECT_EQ(restart.workload, "web");
  const Command logs =
      good(R"({"command":"logs","args":{"workload":"web","container":"app","tail":0,"since":"10m",)"
           R"("until":"2026-09-21T14:13:20Z","pattern":"x y"}})");
  EXPECT_EQ(logs.tail, 0);
  EXPECT_EQ(logs.since, kNow - std::chrono::minutes(10));
  EXPECT_EQ(logs.until, kNow);
  EXPECT_EQ(logs.pattern, "x y");
  EXPECT_EQ(good(R"({"command":"logs","args":{"workload":"web"}})").tail, 100);
  const Command exec = good(
      R"({"command":"exec","args":{"workload":"web","argv":["ls","","-l"],"timeout":5,"maxOutput":0}})");
  EXPECT_THAT(exec.argv, ElementsAre("ls", "", "-l"));
  EXPECT_EQ(exec.timeout, std::chrono::seconds(5));
  EXPECT_EQ(exec.max_output, 0u);
  EXPECT_EQ(good(R"({"command":"pull","args":{"image":"a:1"}})").image, "a:1");
  const Command plan = good(
      R"({"command":"plan","args":{"document":{"kind":"DesiredState","a":[1]},"source":"groups/g"}})");
  EXPECT_EQ(plan.document, R"({"a":[1],"kind":"DesiredState"})");
  EXPECT_EQ(plan.source, "groups/g");
  const std::string deep = std::string(60, '[') + std::string(60, ']');
  EXPECT_EQ(good(R"({"command":"plan","args":{"document":{"a":)" + deep + "}}}").document,
            R"({"a":)" + deep + "}");
  EXPECT_EQ(good(R"({"command":"plan","args":{"document":"kind: x\n"}})").document, "kind: x\n");
  EXPECT_EQ(good(R"({"command":"support-bundle","args":{}})").kind, CommandKind::SupportBundle);
  EXPECT_EQ(good(R"({"command":"check"})").kind, CommandKind::Check);
}

TEST(CommandTest, BadOnesAreToldWhatIsWrong) {
  struct Bad {
    std::string payload, says;
  };
  const std::string deep =
      R"({"command":"ping","args":{"a":)" + std::string(5000, '[') + std::string(5000, ']') + "}}";
  const std::vector<Bad> table = {
      {"", "not JSON"},
      {"not even JSON", "not JSON"},
      {R"({"command":"ping"} x)", "not JSON"},
      {"{\"command\":\"\xff\"}", "not JSON"},
      {"null", "must be an object"},
      {R"({"command":"plan"})", "args.document: is missing"},
      {R"({"command":"plan","args":{"document":[]}})", "args.document: must be a DesiredState"},
      {R"({"command":"plan","args":{"document":""}})", "args.document: must not be empty"},
      {"[]", "must be an object"},
      {"\"ping\"", "must be an object"},
      {"{}", "command: must be the name"},
      {R"({"command":7})", "command: must be the name"},
      {R"({"command":"Ping"})", "unknown command \"Ping\"; did you mean \"ping\"?"},
      {R"({"command":"reboot the whole thing"})", "unknown command"},
      {R"({"command":"ping","arg":{}})", "unknown member \"arg\"; did you mean \"args\"?"},
      {R"({"command":"ping","command":"stop"})", "\"command\" stands there twice"},
      {R"({"command":"ping","args":null})", "args: must be an object"},
      {R"({"command":"ping","args":[]})", "args: must be an object"},
      {R"({"command":"ping","args":{"x":1}})", "unknown argument \"x\"; it takes none"},
      {deep, "nested too deeply"},
      {std::string(kMaxCommandBytes + 1, ' '), "larger than"},
      {R"({"command":"restart"})", "args.workload: is missing"},
      {R"({"command":"restart","args":{"workload":7}})", "args.workload: must be a text"},
      {R"({"command":"restart","args":{"workload":""}})", "args.workload: must not be empty"},
      {R"({"command":"restart","args":{"workload":"a","workload":"b"}})", "stands there twice"},
      {R"({"command":"restart","args":{"workload":")" + std::string(300, 'a') + "\"}}",
       "args.workload: is longer than 253 bytes"},
      {R"({"command":"stop","args":{"wrokload":"web"}})",
       "unknown argument \"wrokload\"; did you mean \"workload\"?"},
      {R"({"command":"logs","args":{"workload":"a","tail":"5"}})", "args.tail: must be a whole"},
      {R"({"command":"logs","args":{"workload":"a","tail":-1}})", "args.tail: must be a whole"},
      {R"({"command":"logs","args":{"workload":"a","tail":1.5}})", "args.tail: must be a whole"},
      {R"({"command":"logs","args":{"workload":"a","tail":18446744073709551615}})",
       "args.tail: must be a whole"},
      {R"({"command":"logs","args":{"workload":"a","since":"yesterday"}})", "args.since: must be"},
      {R"({"command":"logs","args":{"workload":"a","since":10}})", "args.since: must be"},
      {R"({"command":"logs","args":{"workload":"a","since":"1m","until":"5m"}})",
       "args.until: is before args.since"},
      {R"({"command":"logs","args":{"workload":"a","pattern":""}})", "args.pattern: must not"},
      {R"({"command":"exec","args":{"workload":"a"}})", "args.argv: is missing"},
      {R"({"command":"exec","args":{"workload":"a","argv":"ls"}})", "args.argv: must be a list"},
      {R"({"command":"exec","args":{"workload":"a","argv":[]}})", "args.argv: must be a list"},
      {R"({"command":"exec","args":{"workload":"a","argv":["ls",1]}})", "args.argv[1]: must be"},
      {R"({"command":"exec","args":{"workload":"a","argv":[""]}})", "args.argv[0]: must not"},
      {R"({"command":"exec","args":{"workload":"a","argv":["a\u0000b"]}})", "NUL"},
      {R"({"command":"exec","args":{"workload":"a","argv":[")" + std::string(1025, 'x') + R"("]}})",
       "args.argv[0]: is longer than 1024 bytes"},
      {R"({"command":"exec","args":{"workload":"a","argv":["ls"],"timeout":0}})",
       "args.timeout: must be"},
      {R"({"command":"exec","args":{"workload":"a","argv":["ls"],"timeout":"1h"}})",
       "args.timeout: must be"},
      {R"({"command":"exec","args":{"workload":"a","argv":["ls"],"maxOutput":1000000000}})",
       "args.maxOutput: must be"},
      {R"({"command":"pull","args":{}})", "args.image: is missing"},
      {R"({"command":"pull","args":{"image":["a"]}})", "args.image: must be a text"},
  };
  for (const Bad& bad : table) {
    EXPECT_THAT(error_of(bad.payload), HasSubstr(bad.says)) << bad.payload.substr(0, 100);
  }
}

TEST(CommandTest, ArgumentsAloneHaveTheirWorkloadFromElsewhere) {
  const auto exec =
      parse_arguments(CommandKind::Exec, R"({"argv":["ls"],"timeout":"2s"})", kNow, "web");
  ASSERT_TRUE(exec) << exec.error().full();
  EXPECT_EQ(exec->workload, "web");
  EXPECT_EQ(exec->timeout, std::chrono::seconds(2));
  const auto twice =
      parse_arguments(CommandKind::Exec, R"({"argv":["ls"],"workload":"x"})", kNow, "web");
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().full(), HasSubstr("unknown argument \"workload\""));
}

TEST(CommandTest, RequestIdsArePlain) {
  for (const char* id : {"1", "r-1", "a.b_c:d-9"}) EXPECT_TRUE(is_request_id(id)) << id;
  EXPECT_TRUE(is_request_id(std::string(128, 'a')));
  for (const char* id : {"", "-1", ".", "a b", "a/b", "\xc3\xbc", "a\n", "$x"}) {
    EXPECT_FALSE(is_request_id(id)) << id;
  }
  EXPECT_FALSE(is_request_id(std::string(129, 'a')));
}

TEST(CommandTest, EveryCommandHasASwitch) {
  for (const std::string_view name : command_names()) {
    const ConfigResult read = load_config(
        "/nonexistent", {"device.id=d", "security.allow." + std::string(name) + "=false"}, true);
    EXPECT_TRUE(read.errors.empty()) << name << ": " << to_string(read.errors.front());
    EXPECT_EQ(read.config.security.allow.count(std::string(name)), 1u);
  }
  const ConfigResult bad = load_config("/nonexistent", {"security.allow.exce=true"}, true);
  ASSERT_FALSE(bad.errors.empty());
  EXPECT_THAT(to_string(bad.errors.front()), HasSubstr("did you mean \"exec\"?"));
}

TEST(CommandTest, AnyBytesKeepTheInvariants) {
  std::mt19937 random(20261126);
  size_t seeds = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(WHERRY_SOURCE_DIR "/tests/fuzz/command_corpus")) {
    const std::string text = read_file(entry.path()).value();
    ++seeds;
    for (size_t end = 0; end <= text.size(); ++end) {
      ASSERT_EQ(broken_command(text.substr(0, end)), "") << entry.path() << " cut at " << end;
    }
    for (int round = 0; round < 300; ++round) {
      std::string changed = text;
      for (int i = 0; i < 1 + round % 4; ++i) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      ASSERT_EQ(broken_command(changed), "") << entry.path() << ": " << changed;
    }
  }
  EXPECT_GE(seeds, 5U);
}

}  // namespace
}  // namespace wherry
