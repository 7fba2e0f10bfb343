// What somebody who means harm sends to a real agent: it goes on, serves the unix socket all the
// while, and keeps nothing of it.

#include <filesystem>
#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/openapi.h"
#include "tests/support/raw_client.h"
#include "tests/support/wherry_daemon.h"

namespace wherry::test {
namespace {

constexpr const char* kToken = "0123456789abcdef-a-token";

class AttackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Addresses of others, who have limits of their own: all loopback addresses count as one.
    run_ok({"ip", "route", "replace", "local", "10.66.0.0/24", "dev", "lo"});
    write_text(files_ / "token", std::string(kToken) + "\n", 0600);
    WherryOptions options;
    options.sets = {"api.listen=127.0.0.1:" + std::to_string(port_),
                    "api.token_file=" + (files_ / "token")};
    agent_ = std::make_unique<WherryDaemon>(options);
    agent_->start();
  }
  void TearDown() override {
    EXPECT_TRUE(agent_->running()) << tail(agent_->log());
    EXPECT_EQ(local("GET /healthz").status, 200);
    EXPECT_EQ(agent_->stop(), 0);
  }

  // 0: from the device itself.
  std::unique_ptr<RawClient> tcp(int client = 0) const {
    return RawClient::tcp(port_, client == 0 ? "127.0.0.1" : "10.66.0." + std::to_string(client));
  }
  std::unique_ptr<RawClient> unix_socket() const {
    return RawClient::unix_socket(agent_->api_socket());
  }
  static Answer talk(const std::unique_ptr<RawClient>& client, const std::string& bytes) {
    client->send(bytes);
    return client->answer();
  }
  Answer local(const std::string& line, const std::string& more = "") const {
    return talk(unix_socket(), line + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n");
  }
  Answer remote(const std::string& line, const std::string& more, int client = 0) const {
    return talk(tcp(client), line + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n");
  }
  static std::string bearer(const std::string& token) {
    return "Authorization: Bearer " + token + "\r\n";
  }
  size_t descriptors() const {
    const std::filesystem::path path = "/proc/" + std::to_string(agent_->process().pid()) + "/fd";
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path),
                                             std::filesystem::directory_iterator()));
  }
  int64_t resident_kib() const {
    const std::string status =
        read_text("/proc/" + std::to_string(agent_->process().pid()) + "/status");
    return std::stoll(status.substr(status.find("VmRSS:") + 6));
  }

  TempDir files_;
  const int port_ = free_port();
  std::unique_ptr<WherryDaemon> agent_;
};

TEST_F(AttackTest, SlowClientsHoldNobodyUp) {
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 60; ++i) {
    slow.push_back(tcp(2 + i % 30));
    slow.back()->send(i % 2 == 0 ? "GET /healthz HTTP/1.1\r\nX: " : "G");
    EXPECT_EQ(local("GET /healthz").status, 200) << i;
  }
  // They are cut off by themselves, and make room.
  EXPECT_TRUE(wait_until([&] { return remote("GET /healthz", "").status == 200; }));
  for (const auto& client : slow) {
    const int status = client->answer().status;
    EXPECT_TRUE(status == 408 || status == 503 || status == 0) << status;
  }
}

TEST_F(AttackTest, AFloodLeavesNothingBehind) {
  EXPECT_EQ(remote("GET /healthz", "").status, 200);
  // What the outbox opens with its first commit stays open.
  const std::string mark = agent_->state_dir() + "/outbox.db-in-use";
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(mark); }));
  const size_t before = descriptors();
  const int64_t memory = resident_kib();
  std::vector<std::unique_ptr<RawClient>> open;
  for (int i = 0; i < 2000; ++i) {
    open.push_back(tcp(1 + i % 250));
    open.back()->send(i % 3 == 0   ? "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                      : i % 3 == 1 ? std::string(20'000, '\xff')
                                   : "GET /v1/st");
    if (open.size() > 50) open.erase(open.begin());
    EXPECT_TRUE(i % 50 != 0 || local("GET /healthz").status == 200) << i;
  }
  open.clear();
  EXPECT_TRUE(wait_until([&] { return descriptors() <= before + 1; })) << descriptors();
  EXPECT_LT(resident_kib(), memory + 16'384);
  EXPECT_TRUE(
      wait_until([&] { return remote("GET /healthz", bearer(kToken), 251).status == 200; }));
}

TEST_F(AttackTest, GuessingTheTokenEndsSoon) {
  int wrong = 0, refused = 0;
  for (int i = 0; i < 40; ++i) {
    const int status = remote("GET /v1/status", bearer("guess" + std::to_string(i))).status;
    wrong += status == 401 ? 1 : 0;
    refused += status == 429 ? 1 : 0;
  }
  EXPECT_EQ(wrong + refused, 40);
  EXPECT_GE(wrong, 10);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(remote("GET /v1/status", bearer(kToken), 2).status, 200);
  EXPECT_EQ(local("GET /v1/status").status, 200);
  const std::string log = agent_->log();
  EXPECT_NE(log.find("a wrong token was sent over TCP"), std::string::npos);
  EXPECT_EQ(log.find("guess"), std::string::npos);
  EXPECT_EQ(log.find(kToken), std::string::npos);
}

TEST_F(AttackTest, WhoMayNotAskIsNotListenedToForLong) {
  const auto client = tcp();
  ASSERT_TRUE(client->send("POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                           std::to_string(int64_t{1} << 40) + "\r\n\r\n"));
  const std::string part(64u << 10, 'x');
  constexpr size_t kTooMuch = size_t{32} << 20;  // what both ends' buffers hold is within it
  size_t taken = 0;
  while (taken < kTooMuch && client->send(part)) taken += part.size();
  EXPECT_LT(taken, kTooMuch);
}

// In every parameter of every route there is.
TEST_F(AttackTest, TricksInEveryParameterReachNothing) {
  write_text(files_ / "secret", "the-secret-of-a-file\n");
  const OpenApi api;
  const std::string file = files_ / "secret";
  const std::vector<std::string> tricks = {"..",
                                           "%2e%2e",
                                           "%2E%2E%2f%2e%2e%2fetc%2fpasswd",
                                           "..%2f..%2f" + file.substr(1),
                                           "..%5c..",
                                           "%252e%252e",
                                           "..;",
                                           "%c0%ae%c0%ae",
                                           "%00",
                                           "web%00.log",
                                           "web%0a",
                                           "web%0d%0aX: y",
                                           "%7f",
                                           "%1b%5b2J",
                                           "%ff",
                                           "%e2%80%ae",
                                           "%",
                                           "%zz",
                                           "-",
                                           "*",
                                           "~",
                                           "$(id)",
                                           "`id`",
                                           "web/..",
                                           "web/../web",
                                           "./web",
                                           "%2fetc%2fpasswd",
                                           std::string(300, 'a'),
                                           "\xc3\xa4"};
  std::vector<RestAnswered> answered;
  const auto ask = [&](const OpenApi::Operation& operation, const std::string& target) {
    if (target.find("=true") != std::string::npos) return;
    const Answer answer = local(operation.method + " " + target, "Content-Length: 0\r\n");
    EXPECT_NE(answer.status, 0) << operation.method << target;
    EXPECT_NE(answer.status, 500) << operation.method << target << answer.body;
    EXPECT_EQ((answer.head + answer.body).find("the-secret"), std::string::npos) << target;
    EXPECT_EQ(answer.head.find("X: y"), std::string::npos) << target;
    answered.push_back(
        {operation.method, target, answer.status, answer.header("Content-Type"), answer.body});
  };
  for (const OpenApi::Operation& operation : api.operations()) {
    for (const std::string& trick : tricks) {
      for (const std::string& parameter : operation.path_parameters) {
        const std::string target =
            operation.path.substr(0, operation.path.find("{" + parameter + "}")) + trick +
            operation.path.substr(operation.path.find('}') + 1);
        ask(operation, target);
        EXPECT_GE(answered.back().status, 400) << target;
      }
      const std::string path = std::regex_replace(operation.path, std::regex("\\{name\\}"), "web");
      for (const std::string& parameter : operation.query_parameters) {
        ask(operation, path + "?" + parameter + "=" + trick);
        ask(operation, path + "?" + parameter + trick + "=1");
        EXPECT_GE(answered.back().status, 400) << path << parameter << trick;
      }
      ask(operation, path + "/" + trick);
      ask(operation, path + "?" + trick);
    }
  }
  for (const std::string& problem : api.problems(answered)) ADD_FAILURE() << problem;
  EXPECT_GT(answered.size(), 1000U);
}

TEST_F(AttackTest, WhatTheFuzzerStartsFromIsSurvived) {
  for (const auto& entry :
       std::filesystem::directory_iterator(WHERRY_SOURCE_DIR "/tests/fuzz/rest_corpus")) {
    std::string seed = read_text(entry.path()).substr(1);
    if (seed.find("follow") != std::string::npos) continue;
    for (const auto& client : {unix_socket(), tcp()}) {
      client->send(seed);
      client->half_close();
      EXPECT_NE(client->answer().status, 500) << entry.path();
    }
  }
}

// Who loses the network says nothing, and a stream may have nothing to say either: the kernel asks.
TEST_F(AttackTest, AClientThatVanishedIsMissed) {
  const auto client = tcp();
  client->send("GET /v1/events?follow=true HTTP/1.1\r\nHost: localhost\r\n" + bearer(kToken) +
               "\r\n");
  ASSERT_TRUE(client->wait_for("200 OK"));
  char own[16];
  std::snprintf(own, sizeof own, ":%04X ", static_cast<unsigned>(port_));
  // local, remote, state 01 (established), queues, timer 02 (keepalive)
  const std::regex kept(std::string("0100007F") + own + "0100007F:[0-9A-F]{4} 01 [0-9A-F:]+ 02:");
  EXPECT_TRUE(std::regex_search(read_text("/proc/net/tcp"), kept)) << read_text("/proc/net/tcp");
}

TEST_F(AttackTest, BodiesThatLieLeaveNothing) {
  const std::string post = "POST /v1/images HTTP/1.1\r\nHost: localhost\r\n";
  for (const std::string& lie :
       {std::string("Content-Length: 100\r\n\r\nabc"),
        std::string("Content-Length: 18446744073709551615\r\n\r\nabc"),
        std::string("Content-Length: 9223372036854775807\r\n\r\nabc"),
        std::string("Content-Length: -5\r\n\r\nabc"),
        std::string("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        std::string("Transfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        std::string("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"),
        std::string("Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n")}) {
    const auto client = unix_socket();
    client->send(post + lie);
    client->half_close();
    const Answer answer = client->answer();
    EXPECT_TRUE(answer.status == 400 || answer.status == 413 || answer.status == 507)
        << lie << answer.status;
  }
  const std::string uploads = agent_->state_dir() + "/uploads";
  EXPECT_TRUE(!std::filesystem::exists(uploads) || std::filesystem::is_empty(uploads));
}

}  // namespace
}  // namespace wherry::test
