// Logs over the API: text, options, and streams that end when they should.
#include <chrono>

#include "base/files.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

std::unique_ptr<RawClient> follow(const std::string& socket, const std::string& query = "") {
  auto client = RawClient::unix_socket(socket);
  client->send("GET /v1/workloads/web/logs?follow=true" + query + " HTTP/1.1\r\nHost: x\r\n\r\n");
  return client;
}

TEST_F(ApiTest, LogsAreText) {
  for (const char* line : {"one\n", "two\n", "three\n"}) logs.append("web", line);
  start();
  const Answer all = ask("GET /v1/workloads/web/logs");
  EXPECT_EQ(all.status, 200);
  EXPECT_TRUE(all.complete);
  EXPECT_EQ(all.header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(all.body, "one\ntwo\nthree\n");
  EXPECT_EQ(ask("GET /v1/workloads/web/logs?tail=1").body, "three\n");
  EXPECT_EQ(ask("GET /v1/workloads/web/logs?tail=0").body, "");
  EXPECT_EQ(ask("GET /v1/workloads/web/logs?tail=all").body, all.body);
  const auto old = RawClient::unix_socket(socket());
  old->send("GET /v1/workloads/web/logs HTTP/1.0\r\n\r\n");
  const Answer plain = old->answer();
  EXPECT_EQ(plain.header("Transfer-Encoding"), "");
  EXPECT_EQ(plain.body, all.body);
}

TEST_F(ApiTest, ALargeLogComesWhole) {
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    const std::string line = "line " + std::to_string(i) + " " + std::string(90, 'x') + "\n";
    logs.append("web", line);
    expected += line;
  }
  start();
  const Answer answer = ask("GET /v1/workloads/web/logs");
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.body, expected);
}

TEST_F(ApiTest, LogOptionsReachTheReader) {
  logs.append("web", "x\n");
  start();
  ask("GET /v1/workloads/web/logs?container=side&since=10m&timestamps=true&follow=false");
  runtime::LogQuery query = logs.last_query();
  EXPECT_EQ(query.pod, "web");
  EXPECT_EQ(query.container, "side");
  EXPECT_EQ(query.since, clock.wall() - std::chrono::minutes(10));
  EXPECT_TRUE(query.timestamps);
  EXPECT_FALSE(query.follow);
  EXPECT_EQ(query.tail, -1);
  ask("GET /v1/workloads/web/logs?since=2026-01-02T03:04:05%2B01:00");
  query = logs.last_query();
  EXPECT_EQ(to_rfc3339(query.since), "2026-01-02T02:04:05.000Z");
}

TEST_F(ApiTest, LogLinesAreChosenByTimeAndText) {
  for (int minute = 10; minute < 15; ++minute) {
    const std::string line = "2026-09-21T14:" + std::to_string(minute) + ":00.000000000Z " +
                             (minute % 2 == 0 ? "even " : "odd ") + std::to_string(minute) + "\n";
    logs.append("web", line);
  }
  start();
  const std::string logs_of = "GET /v1/workloads/web/logs?";
  EXPECT_EQ(ask(logs_of + "pattern=even").body, "even 10\neven 12\neven 14\n");
  EXPECT_EQ(ask(logs_of + "pattern=even&tail=2").body, "even 12\neven 14\n");
  EXPECT_EQ(ask(logs_of + "pattern=even&tail=9").body, "even 10\neven 12\neven 14\n");
  EXPECT_EQ(ask(logs_of + "pattern=even&tail=0").body, "");
  EXPECT_EQ(ask(logs_of + "pattern=14%3A").body, "") << "a time is no part of the line";
  EXPECT_EQ(ask(logs_of + "until=2026-09-21T14:11:00Z").body, "even 10\nodd 11\n");
  EXPECT_EQ(ask(logs_of + "until=2026-09-21T14:12:30Z&pattern=odd&timestamps=true").body,
            "2026-09-21T14:11:00.000000000Z odd 11\n");
  const auto client = follow(socket(), "&pattern=odd");
  ASSERT_TRUE(client->wait_for("odd 13\n"));
  logs.append("web", "2026-09-21T15:00:00.000000000Z even\n");
  logs.append("web", "2026-09-21T15:00:00.000000000Z odd, too\n");
  ASSERT_TRUE(client->wait_for("odd, too\n"));
  server->stop();
  EXPECT_EQ(client->answer().body, "odd 11\nodd 13\nodd, too\n");
}

TEST_F(ApiTest, BadLogRequests) {
  start();
  for (const char* query : {"tail=-1", "tail=x", "tail=", "since=yesterday", "since=", "follow=2",
                            "timestamps=maybe", "until=later", "pattern=", "until=1h&since=10m",
                            "until=1m&follow=true", "tail=99999999999999999999"}) {
    EXPECT_EQ(ask(std::string("GET /v1/workloads/web/logs?") + query).status, 400) << query;
  }
  EXPECT_EQ(ask("GET /v1/workloads/nope/logs").status, 404);
  EXPECT_EQ(ask("GET /v1/workloads/nope/logs?follow=1").status, 404);
  const Answer container = ask("GET /v1/workloads/web/logs?container=wbe");
  EXPECT_EQ(container.status, 404);
  EXPECT_NE(container.body.find("web, side"), std::string::npos) << container.body;
}

TEST_F(ApiTest, AWorkloadThatHasNotLoggedYet) {
  start();
  const Answer answer = ask("GET /v1/workloads/queue/logs");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
}

TEST_F(ApiTest, BeforeTheFirstPassLogsOnDiskAreShown) {
  logs.append("old", "still here\n");
  set_state({});
  start();
  EXPECT_EQ(ask("GET /v1/workloads/old/logs").body, "still here\n");
  EXPECT_EQ(ask("GET /v1/workloads/nope/logs").status, 404);
  EXPECT_EQ(ask("GET /v1/workloads/nope/logs?follow=true").status, 404);
}

TEST_F(ApiTest, FollowersSeeEachLineAsItComes) {
  logs.append("web", "old\n");
  start();
  const auto client = follow(socket());
  ASSERT_TRUE(client->wait_for("old\n"));
  logs.append("web", "new\n");
  ASSERT_TRUE(client->wait_for("new\n"));
  server->stop();
  const Answer answer = client->answer();
  EXPECT_EQ(answer.body, "old\nnew\n");
  EXPECT_TRUE(answer.complete);
}

TEST_F(ApiTest, FollowersGoOnWithThePodThatIsMadeAnew) {
  logs.append("web", "old\n");
  logs.append("web", "last\n");
  start();
  const auto client = follow(socket(), "&tail=1");
  ASSERT_TRUE(client->wait_for("last\n"));
  logs.remove("web");
  logs.append("web", "new\n");
  logs.append("web", "newer\n");
  ASSERT_TRUE(client->wait_for("newer\n"));
  set_state({});
  logs.remove("web");
  const Answer answer = client->answer();
  EXPECT_EQ(answer.body, "last\nnew\nnewer\n");
  EXPECT_TRUE(answer.complete) << "nobody wants it any more";
}

TEST_F(ApiTest, AFollowerHearsAtOnceThatItIsConnected) {
  logs.append("web", "");
  start();
  EXPECT_TRUE(follow(socket())->wait_for("\r\n\r\n"));
}

TEST_F(ApiTest, FollowingStartsBeforeTheLogDoes) {
  start();
  const auto client = follow(socket());
  ASSERT_TRUE(client->wait_for("\r\n\r\n"));
  logs.append("web", "first words\n");
  EXPECT_TRUE(client->wait_for("first words\n"));
}

TEST_F(ApiTest, ASilentFollowerThatLeavesIsNoticed) {
  logs.append("web", "x\n");
  start();
  const auto client = follow(socket());
  ASSERT_TRUE(client->wait_for("x\n"));
  ASSERT_TRUE(wait_until([&] { return logs.followers() == 1; }));
  client->close();
  EXPECT_TRUE(wait_until([&] { return logs.followers() == 0; }));
}

TEST_F(ApiTest, FollowersNeverTakeAllPlaces) {
  options.max_follows = 2;
  logs.append("web", "x\n");
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(follow(socket()));
    ASSERT_TRUE(clients.back()->wait_for("x\n"));
  }
  const Answer refused = follow(socket())->answer();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Retry-After"), "5");
  EXPECT_NE(refused.body.find("TooManyStreams"), std::string::npos);
  EXPECT_EQ(ask("GET /v1/status").status, 200);
  EXPECT_EQ(ask("GET /v1/workloads/web/logs").status, 200);
  // A place is free again when its follower is gone.
  clients.pop_back();
  EXPECT_TRUE(wait_until([&] {
    clients.push_back(follow(socket()));
    return clients.back()->wait_for("x\n");
  }));
}

TEST_F(ApiTest, AFollowerThatDoesNotReadIsCutOff) {
  options.limits.timeouts.write = std::chrono::milliseconds(100);
  logs.append("web", "x\n");
  start();
  const auto client = follow(socket());
  ASSERT_TRUE(wait_until([&] { return logs.followers() == 1; }));
  const std::string line(64 << 10, 'x');
  for (int i = 0; i < 64; ++i) logs.append("web", line);
  ASSERT_TRUE(wait_until([&] { return logs.followers() == 0; }));
  EXPECT_FALSE(client->answer().complete);
}

TEST_F(ApiTest, ALogThatCannotBeReadOnEndsWithoutItsEndMark) {
  logs.append("web", std::string(64 << 10, 'x') + "\n");
  start();
  const auto client = follow(socket());
  ASSERT_TRUE(client->wait_for("x\n"));
  logs.break_with(Error(Code::Internal, "the disk is gone"));
  EXPECT_FALSE(client->answer().complete);
  EXPECT_FALSE(ask("GET /v1/workloads/web/logs").complete);
}

TEST_F(ApiTest, StoppingEndsManyStreams) {
  options.max_follows = 4;
  logs.append("web", "x\n");
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(follow(socket()));
    ASSERT_TRUE(clients.back()->wait_for("x\n"));
  }
  const auto begin = std::chrono::steady_clock::now();
  server->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatience);
  for (const auto& client : clients) EXPECT_TRUE(client->answer().complete);
}

TEST_F(ApiTest, HeadOfAFollowEnds) {
  logs.append("web", "x\n");
  start();
  const Answer answer = ask("HEAD /v1/workloads/web/logs?follow=true");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
}

}  // namespace
}  // namespace wherry::test
