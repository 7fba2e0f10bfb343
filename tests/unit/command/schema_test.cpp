// configs/command.schema.json and the parser are of one mind; answers are as their schema says.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "agent/command/answers.h"
#include "agent/command/command.h"
#include "tests/support/asyncapi.h"

namespace wherry {
namespace {

using nlohmann::json;
using test::judge_by_schema;
using test::SchemaCase;

const WallTime kNow(std::chrono::seconds(1'790'000'000));

// Every command with arguments of every sort.
std::vector<json> commands() {
  const std::vector<json> values{nullptr,
                                 true,
                                 0,
                                 1,
                                 -1,
                                 1.5,
                                 "x",
                                 "",
                                 "10m",
                                 json::object(),
                                 json::array(),
                                 json::array({"sh", "-c"}),
                                 json::array({1}),
                                 10'001,
                                 300'000};
  std::vector<json> all{json::object(), json::array(), 7, {{"command", "pong"}}, {{"command", 7}}};
  const json good{{"workload", "web"}, {"container", "c"},      {"tail", 10},
                  {"since", "10m"},    {"until", "5m"},         {"pattern", "x"},
                  {"argv", {"sh"}},    {"timeout", "5s"},       {"maxOutput", 100},
                  {"image", "i:1"},    {"document", "kind: x"}, {"source", "local"}};
  for (const std::string_view name : command_names()) {
    const json plain{{"command", name}};
    all.push_back(plain);
    for (const json& args : {json(), json("x"), json::array()}) {
      json other = plain;
      other["args"] = args;
      all.push_back(std::move(other));
    }
    for (const auto& [argument, value] : good.items()) {
      for (const char* with : {"", "workload", "argv", "document"}) {
        json base = plain;
        base["args"][argument] = value;
        if (*with != 0) base["args"][with] = good[with];
        if (name == "exec") base["args"]["workload"] = "web", base["args"]["argv"] = {"sh"};
        all.push_back(base);
        for (const json& other : values) {
          base["args"][argument] = other;
          all.push_back(base);
        }
      }
    }
    for (const char* member : {"target", "request", "expires"}) {
      json bound = plain;
      bound[member] = "2027-01-01T00:00:00Z";  // a text like another for two of them
      all.push_back(bound);
      for (const json& other : values) {
        bound[member] = other;
        all.push_back(bound);
      }
    }
    json unknown = plain;
    unknown["args"]["zzqqzz"] = 1;
    all.push_back(unknown);
    unknown = plain;
    unknown["arg"] = json::object();
    all.push_back(std::move(unknown));
  }
  return all;
}

// What no schema can say: how times and durations are written.
bool beyond_schema(const Error& error) {
  for (const char* part : {"must be a time", "must be a duration", "is before"}) {
    if (error.message().find(part) != std::string::npos) return true;
  }
  return false;
}

TEST(CommandSchema, AgreesWithTheParser) {
  std::vector<SchemaCase> cases;
  for (const json& command : commands()) {
    cases.push_back({"command.schema.json", command.dump()});
  }
  const std::vector<std::string> verdicts = judge_by_schema(cases);
  ASSERT_EQ(verdicts.size(), cases.size());
  size_t good = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto parsed = parse_command(cases[i].payload, kNow);
    if (parsed) {
      ++good;
      EXPECT_EQ(verdicts[i], "") << cases[i].payload;
    } else if (!beyond_schema(parsed.error())) {
      EXPECT_NE(verdicts[i], "") << cases[i].payload << ": " << parsed.error().message();
    }
  }
  EXPECT_GT(good, 100U);
  EXPECT_GT(cases.size() - good, 1000U);
}

TEST(ResponseSchema, HoldsForEveryAnswer) {
  const std::string schema = "response.schema.json";
  std::vector<SchemaCase> cases{{schema, answer_with(R"({"workload":"web"})")},
                                {schema, refusal("TooManyCommands", "later")},
                                {schema, refusal("Interrupted", "it may have been")}};
  for (int code = 0; code <= static_cast<int>(Code::Internal); ++code) {
    cases.push_back({schema, refusal(Error(static_cast<Code>(code), "so"))});
  }
  const std::string long_text(100'000, 'x');
  cases.push_back({schema, shortened(answer_with(json{{"text", long_text}}.dump()), 4096)});
  cases.push_back(
      {schema, shortened(answer_with(json{{"n", json::array({long_text})}}.dump()), 4096)});
  cases.push_back({schema, shortened(refusal("Internal", long_text), 4096)});
  cases.push_back({schema, carried_out_for("groups/pumps", answer_with("{}"))});
  cases.push_back({schema, carried_out_for("groups/pumps", refusal("Internal", "so"))});
  const size_t good = cases.size();
  cases.push_back({schema, R"({"ok":true})"});
  cases.push_back({schema, R"({"ok":false,"result":{}})"});
  cases.push_back({schema, R"({"ok":true,"result":{},"error":{"code":"Internal","message":""}})"});
  const std::vector<std::string> verdicts = judge_by_schema(cases);
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(verdicts[i].empty(), i < good) << cases[i].payload.substr(0, 300) << verdicts[i];
  }
}

}  // namespace
}  // namespace wherry
