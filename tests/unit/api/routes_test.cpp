// Every route: what it answers, and how it refuses.
#include <nlohmann/json.hpp>

#include "agent/api/router.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

json problem_of(const Answer& answer) {
  EXPECT_EQ(answer.header("Content-Type"), "application/problem+json") << answer.head;
  const json problem = json::parse(answer.body, nullptr, false);
  EXPECT_EQ(problem.value("status", 0), answer.status);
  EXPECT_FALSE(problem.value("title", "").empty());
  EXPECT_FALSE(problem.value("detail", "").empty());
  EXPECT_FALSE(problem.value("reason", "").empty());
  return problem;
}

TEST_F(ApiTest, HealthSaysWhyNot) {
  start();
  Answer answer = ask("GET /healthz");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(json::parse(answer.body)["status"], "ok");
  alive = fail(Code::DeadlineExceeded, "no pass for 60s");
  answer = ask("GET /healthz");
  EXPECT_EQ(answer.status, 503);
  const json problem = problem_of(answer);
  EXPECT_EQ(problem["checks"][0]["reason"], "no pass for 60s");
}

TEST_F(ApiTest, ReadyNamesWhatIsMissing) {
  start();
  EXPECT_EQ(ask("GET /readyz").status, 200);
  StateView state = sample_state();
  state.first_pass_done = false;
  state.conditions[0].status = false;
  state.conditions[0].message = "connection refused";
  state.conditions.pop_back();
  set_state(state);
  const Answer answer = ask("GET /readyz");
  EXPECT_EQ(answer.status, 503);
  const json problem = problem_of(answer);
  ASSERT_EQ(problem["checks"].size(), 3u);
  EXPECT_EQ(problem["checks"][0]["name"], "StoreReady");
  EXPECT_EQ(problem["checks"][0]["reason"], "not known yet");
  EXPECT_EQ(problem["checks"][1]["reason"], "connection refused");
  EXPECT_EQ(problem["checks"][2]["ok"], false);
}

TEST_F(ApiTest, StatusIsTheReportedState) {
  start();
  const Answer answer = ask("GET /v1/status");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "application/json");
  EXPECT_EQ(answer.header("Cache-Control"), "no-store");
  EXPECT_EQ(answer.body, to_reported_json(sample_state()) + "\n");
}

TEST_F(ApiTest, HeadHasHeadersOnly) {
  start();
  const Answer answer = ask("HEAD /v1/status");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.header("Content-Length"),
            std::to_string(to_reported_json(sample_state()).size() + 1));
}

TEST_F(ApiTest, WorkloadsListAndOne) {
  start();
  const json list = json::parse(ask("GET /v1/workloads").body);
  ASSERT_EQ(list["workloads"].size(), 2u);
  EXPECT_EQ(list["workloads"][1]["containers"][0]["exitCode"], 137);
  EXPECT_EQ(list["workloads"][1]["containers"][1]["exitCode"], nullptr);
  const json one = json::parse(ask("GET /v1/workloads/web").body);
  EXPECT_EQ(one, list["workloads"][1]);
  const Answer missing = ask("GET /v1/workloads/wep");
  EXPECT_EQ(missing.status, 404);
  EXPECT_NE(problem_of(missing)["detail"].get<std::string>().find("wep"), std::string::npos);
}

TEST_F(ApiTest, NoWorkloadsIsAnEmptyList) {
  set_state({});
  start();
  EXPECT_EQ(ask("GET /v1/workloads").body, "{\"workloads\":[]}\n");
  EXPECT_EQ(ask("GET /readyz").status, 503);
}

TEST_F(ApiTest, MetricsAreText) {
  start();
  const Answer answer = ask("GET /metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(answer.body, "wherry_build_info 1\n");
}

TEST_F(ApiTest, WhySaysWhatIsKnownWithTheLastEvents) {
  StateView state = sample_state();
  state.desired.resize(1);
  state.desired[0].source = "devices/d";
  state.desired[0].rejected = DesiredView::Rejected{9, {{"spec", "is wrong", 0, 0}}};
  set_state(state);
  start();
  for (int64_t number = 1; number <= 8; ++number) {
    add_event({number, clock.wall(), number % 2 == 0 ? "other" : "web", "", "Normal", "Started",
               "attempt " + std::to_string(number), 42});
  }
  add_event({9, clock.wall(), "web", "web", "Warning", "BackOff", "again", 42});
  add_event({10, clock.wall(), "web", "web", "Warning", "BackOff", "and again", 42});
  Answer answer = ask("GET /v1/workloads/web/why");
  ASSERT_EQ(answer.status, 200);
  const json said = json::parse(answer.body);
  EXPECT_EQ(said["name"], "web");
  EXPECT_TRUE(said["because"].is_array());
  ASSERT_EQ(said["events"].size(), 5U);
  EXPECT_EQ(said["events"][0]["number"], 3);
  EXPECT_EQ(said["events"][4]["message"], "and again");
  answer = ask("GET /v1/workloads/nobody/why");
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(problem_of(answer)["detail"].get<std::string>().find("spec: is wrong"),
            std::string::npos);
}

TEST_F(ApiTest, EventsAreFollowed) {
  start();
  add_event({1, clock.wall(), "web", "web", "Warning", "BackOff", "again", 42});
  add_event({2, clock.wall(), "", "", "Normal", "ContainerdReady", "it answers", 0});
  const auto client = RawClient::unix_socket(socket());
  client->send("GET /v1/events?follow=true&after=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(client->wait_for("ContainerdReady"));
  add_event({7, clock.wall(), "web", "web", "Normal", "Started", "attempt 2", 42});
  ASSERT_TRUE(client->wait_for("attempt 2"));
  server->stop();
  const Answer answer = client->answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(answer.body.find("BackOff"), std::string::npos) << "it is not after 1";
  EXPECT_EQ(std::count(answer.body.begin(), answer.body.end(), '\n'), 2);
  EXPECT_EQ(json::parse(answer.body.substr(0, answer.body.find('\n')))["number"], 2);
}

TEST_F(ApiTest, HeadOfAStreamIsTheHeadOfAStream) {
  start();
  const Answer answer = ask("HEAD /v1/events?follow=true");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(answer.header("Content-Length"), "");
}

TEST_F(ApiTest, UnknownPathsAndMethods) {
  start();
  for (const char* line : {"GET /v2", "GET /v1", "GET /v1/status/", "GET //", "GET /v1//workloads",
                           "GET /healthz/x", "GET /v1/workloads/web/logs/x"}) {
    EXPECT_EQ(ask(line).status, 404) << line;
  }
  const Answer wrong = ask("DELETE /v1/workloads/web");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "GET, HEAD");
  problem_of(wrong);
  EXPECT_EQ(ask("POST /healthz").status, 405);
  EXPECT_EQ(ask("PATCH /v1/images").header("Allow"), "GET, HEAD, POST");
  EXPECT_EQ(ask("BREW /v1/images").status, 405);
}

TEST_F(ApiTest, PathTricksNameNothing) {
  start();
  for (const char* path :
       {"/v1/workloads/..", "/v1/workloads/%2e%2e", "/v1/workloads/../status",
        "/v1/workloads/%2e%2e%2fstatus", "/v1/workloads/a%2fb", "/v1/workloads/a%5cb",
        "/v1/workloads/%00", "/v1/workloads/a%0ab", "/v1/workloads/%ff", "/v1/workloads/%zz",
        "/v1/workloads/web%", "/v1/workloads/Web", "/v1/workloads/-web", "/v1/workloads/a.b",
        "/v1/workloads/%c3%a4", "/v1/workloads/..%2f..%2fetc%2fpasswd/logs"}) {
    EXPECT_EQ(ask(std::string("GET ") + path).status, 400) << path;
  }
  EXPECT_EQ(ask("GET /v1/workloads/" + std::string(64, 'a')).status, 400);
  EXPECT_EQ(ask("GET /v1/workloads/" + std::string(63, 'a')).status, 404);
  EXPECT_EQ(ask("GET /v1/workloads/%77eb").status, 200);  // an escape alone is no trick
}

TEST_F(ApiTest, UnknownParametersAreNamed) {
  start();
  const Answer answer = ask("GET /v1/workloads/web/logs?tial=3");
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(problem_of(answer)["detail"].get<std::string>().find("did you mean \"tail\""),
            std::string::npos);
  EXPECT_EQ(ask("GET /v1/status?x=1").status, 400);
  EXPECT_EQ(ask("GET /v1/events?after=1&after=2").status, 400);
  EXPECT_EQ(ask("GET /v1/events?after=%").status, 400);
  EXPECT_EQ(ask("GET /v1/events?follow=yes").status, 400);
}

TEST_F(ApiTest, EventsInPages) {
  for (int64_t i = 1; i <= 150; ++i) {
    events.push_back({i, clock.wall(), "web", "web", "Warning", "BackOff", "again", 42});
  }
  start();
  const json first = json::parse(ask("GET /v1/events").body);
  ASSERT_EQ(first["events"].size(), 100u);
  EXPECT_EQ(first["events"][0]["number"], 1);
  EXPECT_EQ(first["events"][0]["reason"], "BackOff");
  EXPECT_EQ(first["events"][0]["at"], to_rfc3339(clock.wall()));
  const json second = json::parse(ask("GET /v1/events?after=100&limit=1000").body);
  EXPECT_EQ(second["events"].size(), 50u);
  for (const char* query :
       {"after=-1", "after=x", "after=", "limit=0", "limit=1001", "limit=1e3"}) {
    EXPECT_EQ(ask(std::string("GET /v1/events?") + query).status, 400) << query;
  }
}

TEST_F(ApiTest, ImagesListAndItsErrors) {
  start();
  EXPECT_EQ(ask("GET /v1/images").body, "{\"images\":[],\"pulls\":[]}\n");
  images.fail_with(Error(Code::Unavailable, "containerd is not reachable", "ContainerdDown"));
  const Answer answer = ask("GET /v1/images");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(problem_of(answer)["reason"], "ContainerdDown");
}

}  // namespace
}  // namespace wherry::test
