// Orders about workloads, and programs run in them.

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CommandRoutesTest : public ApiTest {
 protected:
  Answer post(const std::string& path, const std::string& body = "") {
    return ask("POST /v1/workloads/" + path,
               "Content-Length: " + std::to_string(body.size()) + "\r\n", body);
  }
  static std::string detail(const Answer& answer) {
    return json::parse(answer.body)["detail"].get<std::string>();
  }
};

TEST_F(CommandRoutesTest, AnOrderThatIsTakenIs202) {
  start();
  const std::vector<std::pair<std::string, OrderKind>> routes = {
      {"restart", OrderKind::Restart}, {"stop", OrderKind::Stop}, {"start", OrderKind::Start}};
  for (const auto& [route, kind] : routes) {
    const Answer answer = post("web/" + route);
    EXPECT_EQ(answer.status, 202) << route;
    EXPECT_EQ(json::parse(answer.body), (json{{"workload", "web"}}));
    EXPECT_EQ(orders().back().kind, kind);
    EXPECT_EQ(orders().back().workload, "web");
    EXPECT_THAT(orders().back().given_by, HasSubstr("API"));
  }
  answer_orders(fail(Code::NotFound, "there is no workload \"nope\" on this device"));
  EXPECT_EQ(post("nope/stop").status, 404);
  answer_orders(fail(Code::FailedPrecondition, "it is a Pod of Job/x"));
  EXPECT_EQ(post("x/stop").status, 409);
  answer_orders(fail(Code::ResourceExhausted, "disk full"));
  EXPECT_EQ(post("web/stop").status, 507);
  EXPECT_EQ(ask("GET /v1/workloads/web/stop").status, 405);
}

TEST_F(CommandRoutesTest, AnOrderTakesNoArguments) {
  start();
  for (const char* path :
       {"workloads/web/restart", "workloads/web/stop", "workloads/web/start", "images:prune"}) {
    const auto given = [&](const std::string& body) {
      return ask("POST /v1/" + std::string(path),
                 "Content-Length: " + std::to_string(body.size()) + "\r\n", body);
    };
    const size_t before = orders().size();
    EXPECT_EQ(given("<<<").status, 400) << path;
    EXPECT_EQ(given(std::string(2 << 20, ' ')).status, 413) << path;
    const Answer refused = given(R"({"force":true})");
    EXPECT_EQ(refused.status, 400) << path;
    EXPECT_THAT(detail(refused), HasSubstr("unknown argument \"force\"; it takes none"));
    EXPECT_EQ(orders().size(), before);
    EXPECT_LT(given("{}").status, 300) << path;
    EXPECT_LT(
        ask("POST /v1/" + std::string(path), "Transfer-Encoding: chunked\r\n", "0\r\n\r\n").status,
        300)
        << path;
  }
}

TEST_F(CommandRoutesTest, ExecAnswersWithWhatTheProgramSaid) {
  start();
  const Answer answer =
      post("web/exec", R"({"argv":["ls","-l"],"timeout":"5s","container":"web"})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(
      json::parse(answer.body),
      json::parse(R"({"exitCode":0,"stdout":"ls -l\n","stderr":"to stderr\n","truncated":false})"));
  EXPECT_EQ(execs.asked().container_id, "id-1");
  EXPECT_THAT(execs.asked().argv, ElementsAre("ls", "-l"));
  EXPECT_EQ(execs.asked().timeout, std::chrono::seconds(5));
  EXPECT_EQ(json::parse(post("web/exec", R"({"argv":["false"]})").body)["exitCode"], 1);
  EXPECT_EQ(json::parse(post("web/exec", R"({"argv":["ls"],"maxOutput":1})").body)["truncated"],
            true);
}

TEST_F(CommandRoutesTest, BadExecsAreToldWhatIsWrong) {
  start();
  struct Bad {
    std::string path, body;
    int status;
    std::string says;
  };
  const std::vector<Bad> table = {
      {"web/exec", "", 411, "send a command"},
      {"web/exec", "<<<", 400, "not JSON"},
      {"web/exec", R"({"argv":[")" + std::string(50'000, 'x') + R"("]})", 400,
       "argv[0]: is longer"},
      {"web/exec", "{}", 400, "argv: is missing"},
      {"web/exec", R"({"argv":"ls"})", 400, "argv: must be a list"},
      {"web/exec", R"({"argv":["ls"],"tty":true})", 400, "unknown argument \"tty\""},
      {"web/exec", R"({"argv":["ls"],"workload":"x"})", 400, "unknown argument \"workload\""},
      {"web/exec", std::string(kMaxCommandBytes + 1, ' '), 413, "too large"},
      {"nope/exec", R"({"argv":["ls"]})", 404, "no workload \"nope\""},
      {"web/exec", R"({"argv":["ls"],"container":"x"})", 404, "it has web, side"},
      {"web/exec", R"({"argv":["ls"],"container":"side"})", 409, "does not run"},
      {"web/exec", R"({"argv":["slow"]})", 504, "not done within"},
  };
  for (const Bad& bad : table) {
    const Answer answer = post(bad.path, bad.body);
    EXPECT_EQ(answer.status, bad.status) << bad.body.substr(0, 80) << answer.body;
    EXPECT_THAT(detail(answer), HasSubstr(bad.says));
  }
}

}  // namespace
}  // namespace wherry::test
