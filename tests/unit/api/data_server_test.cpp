// The data API on real sockets, over a real outbox and cache.

#include "agent/api/data_server.h"

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "telemetry/stream/cache.h"
#include "telemetry/telemetry.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

using nlohmann::json;

class DataServerTest : public testing::Test {
 protected:
  DataServerTest() {
    cache_.path = dir_ / "cache.db";
    cache_.max_bytes = 10'000;
    cache_.boot = "this-boot";
    start();
  }

  void start(DataLimits limits = {}, const telemetry::OutboxOptions& outbox = {}) {
    server_.reset();
    telemetry_.reset();
    telemetry::TelemetryOptions options;
    options.outbox = outbox;
    options.outbox.path = dir_ / "outbox.db";
    telemetry::Source none{
        "events", [](int64_t, size_t) { return Result<std::vector<telemetry::Source::Record>>(); }};
    telemetry_ = telemetry::Telemetry::open(options, clock_, {}, none);
    server_ = std::make_unique<DataServer>(*telemetry_, cache_, clock_, limits);
    for (const char* workload : {"web", "other"}) {
      const Status opened_socket = server_->open(workload, dir_ / workload);
      ASSERT_TRUE(opened_socket) << opened_socket.error().full();
    }
  }

  Answer ask(const std::string& request, const std::string& body = "", const std::string& type = "",
             const std::string& workload = "web") {
    const auto client = RawClient::unix_socket(dir_ / (workload + "/data.sock"));
    std::string text = request + " HTTP/1.1\r\nHost: data\r\n";
    if (!type.empty()) text += "Content-Type: " + type + "\r\n";
    if (!body.empty() || request.starts_with("P")) {
      text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    client->send(text + "\r\n" + body);
    return client->answer();
  }
  json body_of(const Answer& answer) {
    json body = json::parse(answer.body, nullptr, false);
    EXPECT_FALSE(body.is_discarded()) << answer.head << answer.body;
    return body;
  }

  TempDir dir_;
  FakeClock clock_;
  telemetry::CacheOptions cache_;
  std::unique_ptr<telemetry::Telemetry> telemetry_;
  std::unique_ptr<DataServer> server_;
};

TEST_F(DataServerTest, RecordsAreNumberedAndReadBack) {
  Answer answer = ask("POST /v1/streams/temps", "{\"t\":21}\n{\"t\":22}\n\n");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(body_of(answer), json({{"first", 1}, {"count", 2}}));
  answer = ask("POST /v1/streams/temps", "23.5", "application/json");
  EXPECT_EQ(body_of(answer), json({{"first", 3}, {"count", 1}}));
  const json batch = body_of(ask("GET /v1/streams/temps?after=1&limit=5"));
  EXPECT_EQ(batch["stream"], "data/web/temps");
  EXPECT_EQ(batch["first"], 2);
  ASSERT_EQ(batch["records"].size(), 2U);
  EXPECT_EQ(batch["records"][0]["t"], 22);
  EXPECT_EQ(batch["records"][1]["value"], 23.5);
  EXPECT_EQ(batch["records"][1]["at"], to_rfc3339(clock_.wall()));
  EXPECT_EQ(body_of(ask("GET /v1/streams/temps?limit=1"))["records"].size(), 1U);
  EXPECT_EQ(body_of(ask("GET /v1/streams/temps?after=3"))["records"], json::array());
  EXPECT_EQ(body_of(ask("GET /v1/streams"))["streams"][0]["next"], 4);
}

TEST_F(DataServerTest, BytesOfAnyKindAreOneRecord) {
  EXPECT_EQ(
      ask("POST /v1/streams/raw", std::string("\0\n\xff", 3), "application/octet-stream").status,
      200);
  const json batch = body_of(ask("GET /v1/streams/raw"));
  EXPECT_EQ(batch["records"][0]["base64"], "AAr/");
  EXPECT_EQ(ask("POST /v1/streams/raw", "x", "Application/Octet-Stream; x=y").status, 200);
}

TEST_F(DataServerTest, TheSocketSaysWhoSpeaks) {
  ask("POST /v1/streams/temps", "1");
  EXPECT_EQ(ask("GET /v1/streams/temps", "", "", "other").status, 404);
  EXPECT_EQ(body_of(ask("GET /v1/streams", "", "", "other"))["streams"], json::array());
  EXPECT_EQ(body_of(ask("POST /v1/streams/temps", "2", "", "other"))["first"], 1);
  ask("PUT /v1/cache/key", "mine");
  EXPECT_EQ(ask("GET /v1/cache/key", "", "", "other").status, 404);
}

// A number of a record is no place in another stream, however large it is.
TEST_F(DataServerTest, NoNumberLeadsToRecordsOfOthers) {
  ask("POST /v1/streams/secret", "\"before\"", "", "other");
  ask("POST /v1/streams/temps", "1\n2");
  ask("POST /v1/streams/secret2", "\"behind\"", "", "other");
  constexpr uint64_t kStream = uint64_t{1} << 43;  // what lies between two streams
  for (const uint64_t at :
       {uint64_t{0}, kStream, uint64_t{1} << 63, 0 - kStream, 0 - 2 * kStream}) {
    for (const uint64_t beside : {0, 1, 2, 3, 4, 5}) {
      const uint64_t after = at + beside - 3;
      if (after < 2) continue;
      const json batch = body_of(ask("GET /v1/streams/temps?after=" + std::to_string(after)));
      EXPECT_EQ(batch["records"], json::array()) << after;
      EXPECT_EQ(batch["first"], 3) << after;
    }
  }
}

TEST_F(DataServerTest, WhatIsWrongIsNamedAndNothingOfItKept) {
  const auto expect = [&](int status, const std::string& request, const std::string& body,
                          const std::string& says, const std::string& type = "") {
    const Answer answer = ask(request, body, type);
    EXPECT_EQ(answer.status, status) << request << answer.body;
    EXPECT_NE(answer.body.find(says), std::string::npos) << answer.body;
  };
  expect(400, "POST /v1/streams/s", "", "no record");
  expect(400, "POST /v1/streams/s", "\n \n", "no record");
  expect(400, "POST /v1/streams/s", "{\"a\":1}\n{\"b\":}\n", "line 2");
  expect(400, "POST /v1/streams/s", "\"\xff\xfe\"", "line 1");
  expect(413, "POST /v1/streams/s", std::string(10 << 20, ' '), "1048576");
  for (const char* name : {"..", "a%2Fb", "a%20b", "+", "%23", ".hidden", "-dash"}) {
    for (const char* request : {"POST /v1/streams/", "PUT /v1/cache/"}) {
      EXPECT_EQ(ask(std::string(request) + name, "1").status, 400) << name;
    }
  }
  expect(400, "POST /v1/streams/" + std::string(65, 'x'), "1", "no stream");
  expect(404, "GET /v1/streams/none", "", "no stream");
  expect(404, "GET /metrics", "", "/v1/streams");
  expect(404, "GET /v1/streams/a/b", "", "/v1/streams");
  expect(405, "DELETE /v1/streams/s", "", "POST");
  expect(405, "POST /v1/streams", "1", "GET");
  expect(400, "GET /v1/streams/s?after=x", "", "after");
  expect(400, "GET /v1/streams/s?limit=0", "", "limit");
  expect(400, "PUT /v1/cache/k?ttl=soon", "1", "ttl");
  expect(400, "PUT /v1/cache/k?tl=10m", "1", R"(did you mean \"ttl\")");
  expect(400, "GET /v1/streams/s?lmit=1", "", R"(did you mean \"limit\")");
  expect(400, "POST /v1/streams/s?ttl=1m", "1", "unknown query parameter");
  expect(400, "GET /v1/streams?after=1", "", "unknown query parameter");
  expect(400, "POST /v1/streams/s", "x", "line 1", "application/octet-streams");
  EXPECT_EQ(body_of(ask("GET /v1/streams"))["streams"], json::array());
}

TEST_F(DataServerTest, RecordsOfNoAndOfTooManyBytes) {
  EXPECT_EQ(ask("POST /v1/streams/raw", "", "application/octet-stream").status, 200);
  EXPECT_EQ(ask("POST /v1/streams/raw", "\"\"\n{}\nnull").status, 200);
  const json records = body_of(ask("GET /v1/streams/raw"))["records"];
  ASSERT_EQ(records.size(), 4U);
  EXPECT_EQ(records[0]["base64"], "") << "nothing is a record, too";
  EXPECT_EQ(records[1]["value"], "");
  EXPECT_TRUE(records[2].contains("at"));
  EXPECT_TRUE(records[3]["value"].is_null());
  // Ten times as much as may be, and nobody says so before.
  const auto client = RawClient::unix_socket(dir_ / "web/data.sock");
  client->send("POST /v1/streams/big HTTP/1.1\r\nHost: data\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, '1') + "\r\n";
  std::thread rest([&] {
    for (int i = 0; i < 160; ++i) client->send(chunk);
  });
  EXPECT_EQ(client->answer().status, 413);
  rest.join();
  EXPECT_EQ(body_of(ask("GET /v1/streams"))["streams"].size(), 1U);
}

TEST_F(DataServerTest, NamesLeadNowhereElse) {
  ask("POST /v1/streams/s", "1", "", "other");
  ask("PUT /v1/cache/k", "theirs", "", "other");
  for (const char* name : {"..%2Fother%2Fs", "%2e%2e", "%2E%2E%2Fother", "a%00b", "%ff", "%2B",
                           "%24SYS", "s%23", "*", "a%0Ab", ".", "~", "%C3%A4"}) {
    for (const char* request : {"POST /v1/streams/", "GET /v1/streams/", "PUT /v1/cache/",
                                "GET /v1/cache/", "DELETE /v1/cache/"}) {
      const int status = ask(std::string(request) + name, "1").status;
      EXPECT_TRUE(status == 400 || status == 404 || status == 405) << request << name << status;
    }
  }
  EXPECT_EQ(body_of(ask("GET /v1/streams"))["streams"], json::array());
  EXPECT_EQ(body_of(ask("GET /v1/cache"))["keys"], json::array());
  EXPECT_EQ(ask("GET /v1/cache/k", "", "", "other").body, "theirs");
}

TEST_F(DataServerTest, AWorkloadHasAsManyStreamsAsItMay) {
  start({.streams = 2});
  EXPECT_EQ(ask("POST /v1/streams/a", "1").status, 200);
  EXPECT_EQ(ask("POST /v1/streams/b", "1").status, 200);
  const Answer answer = ask("POST /v1/streams/c", "1");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.header("Retry-After"), "60");
  EXPECT_EQ(ask("POST /v1/streams/b", "1").status, 200);
  EXPECT_EQ(ask("POST /v1/streams/c", "1", "", "other").status, 200);
}

TEST_F(DataServerTest, NoMoreStreamsAtOnceThanOneAfterTheOther) {
  start({.streams = 2});
  std::vector<std::thread> clients;
  std::atomic<int> accepted{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      if (ask("POST /v1/streams/s" + std::to_string(i), "1").status == 200) ++accepted;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(accepted, 2);
  EXPECT_EQ(body_of(ask("GET /v1/streams"))["streams"].size(), 2U);
}

TEST_F(DataServerTest, WhatIsTooMuchForTheQueueIsSentInParts) {
  telemetry::OutboxOptions outbox;
  outbox.max_bytes = 1 << 20;
  start({}, outbox);
  const std::string line = "\"" + std::string(1000, 'x') + "\"\n";
  std::string body;
  for (int i = 0; i < 200; ++i) body += line;
  EXPECT_EQ(ask("POST /v1/streams/s", body).status, 413);
  EXPECT_EQ(ask("POST /v1/streams/s", body.substr(0, 50 * line.size())).status, 200);
}

TEST_F(DataServerTest, ABodyThatDoesNotComeIsTheClientsFault) {
  DataLimits limits;
  limits.server.timeouts.body = std::chrono::milliseconds(20);
  start(limits);
  const auto client = RawClient::unix_socket(dir_ / "web/data.sock");
  client->send("POST /v1/streams/s HTTP/1.1\r\nHost: data\r\nContent-Length: 5\r\n\r\n1");
  EXPECT_EQ(client->answer().status, 408);
}

TEST_F(DataServerTest, StreamsOfWorkloadsThatAreGoneMakeRoom) {
  telemetry::OutboxOptions outbox;
  outbox.max_streams = 2;
  start({}, outbox);
  ask("POST /v1/streams/a", "1", "", "other");
  ask("POST /v1/streams/b", "1", "", "other");
  EXPECT_EQ(ask("POST /v1/streams/c", "1").status, 429) << "they are in use";
  server_->close("other");
  EXPECT_EQ(ask("POST /v1/streams/c", "1").status, 429) << "their records have not been sent";
}

TEST_F(DataServerTest, TheCacheKeepsWhatItIsGiven) {
  EXPECT_EQ(ask("GET /v1/cache/model.version").status, 404);
  EXPECT_EQ(ask("PUT /v1/cache/model.version", "v7", "text/plain").status, 200);
  Answer answer = ask("GET /v1/cache/model.version");
  EXPECT_EQ(answer.body, "v7");
  EXPECT_EQ(answer.header("Content-Type"), "text/plain");
  EXPECT_EQ(ask("PUT /v1/cache/model.version", "").status, 200);
  EXPECT_EQ(ask("GET /v1/cache/model.version").body, "");
  start();
  EXPECT_EQ(ask("GET /v1/cache/model.version").status, 200) << "it outlives the agent";
  EXPECT_EQ(body_of(ask("GET /v1/cache"))["keys"][0]["key"], "model.version");
  EXPECT_EQ(ask("DELETE /v1/cache/model.version").status, 200);
  EXPECT_EQ(ask("DELETE /v1/cache/model.version").status, 200);
  EXPECT_EQ(ask("GET /v1/cache/model.version").status, 404);
}

TEST_F(DataServerTest, TheCacheIsBounded) {
  EXPECT_EQ(ask("PUT /v1/cache/a", std::string(6000, 'a')).status, 200);
  const Answer answer = ask("PUT /v1/cache/b", std::string(6000, 'b'));
  EXPECT_EQ(answer.status, 429);
  EXPECT_NE(answer.header("Retry-After"), "");
  EXPECT_NE(answer.body.find("OverQuota"), std::string::npos);
  EXPECT_EQ(ask("GET /v1/cache/a").body, std::string(6000, 'a')) << "what was accepted is kept";
  EXPECT_EQ(ask("PUT /v1/cache/a", std::string(9000, 'c')).status, 200) << "in its own place";
  EXPECT_EQ(ask("PUT /v1/cache/b", std::string(6000, 'b'), "", "other").status, 200);
  EXPECT_EQ(ask("DELETE /v1/cache/a").status, 200);
  EXPECT_EQ(ask("PUT /v1/cache/b", std::string(6000, 'b')).status, 200);
}

TEST_F(DataServerTest, ValuesWithATimeToLiveEndByThemselves) {
  EXPECT_EQ(ask("PUT /v1/cache/short?ttl=1ms", std::string(6000, 's')).status, 200);
  ASSERT_TRUE(wait_until([&] { return ask("GET /v1/cache/short").status == 404; }));
  EXPECT_EQ(ask("PUT /v1/cache/long?ttl=7d", std::string(6000, 'l')).status, 200)
      << "what is over makes room";
  EXPECT_EQ(ask("GET /v1/cache/long").status, 200);
}

TEST_F(DataServerTest, ManyProducersAtOnce) {
  constexpr int kProducers = 6, kEach = 20;
  std::vector<std::thread> producers;
  std::atomic<int> accepted{0};
  for (int i = 0; i < kProducers; ++i) {
    producers.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) {
        if (ask("POST /v1/streams/many", "1\n2\n3\n").status == 200) ++accepted;
      }
    });
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(accepted, kProducers * kEach);
  EXPECT_EQ(body_of(ask("GET /v1/streams"))["streams"][0]["next"], kProducers * kEach * 3 + 1);
}

TEST_F(DataServerTest, OneWorkloadCannotTakeAllConnections) {
  start(
      {.server = {
           .threads = 4, .queued = 8, .tcp_connections = 0, .tag_connections = 2, .timeouts = {}}});
  std::vector<std::unique_ptr<RawClient>> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(RawClient::unix_socket(dir_ / "web/data.sock"));
    held.back()->send("POST /v1/streams/s HTTP/1.1\r\nHost: data\r\nContent-Length: 5\r\n\r\n1");
  }
  ASSERT_TRUE(wait_until([&] { return ask("GET /v1/streams").status == 429; }));
  EXPECT_EQ(ask("GET /v1/streams", "", "", "other").status, 200);
}

TEST_F(DataServerTest, ANameOfAnyLengthHasASocket) {
  const std::string name(200, 'p');
  const std::string directory = dir_ / name;
  const Status opened = server_->open(name, directory);
  ASSERT_TRUE(opened) << opened.error().full();
  std::filesystem::create_directory_symlink(directory, dir_ / "pump");  // as the container sees it
  EXPECT_EQ(ask("POST /v1/streams/a", "1", "", "pump").status, 200);
  ASSERT_TRUE(server_->open(name, directory)) << "it is there";
  server_->close(name);
  EXPECT_NE(access((directory + "/data.sock").c_str(), F_OK), 0);
  write_text(directory + "/data.sock", "");
  EXPECT_FALSE(server_->open(name, directory)) << "what is no socket is not replaced";
}

TEST_F(DataServerTest, ACacheThatIsDamagedMeanwhileBeginsAnew) {
  cache_.max_bytes = 4 << 20;
  start();
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(ask("PUT /v1/cache/k" + std::to_string(i), std::string(100'000, 'v')).status, 200);
  }
  start();  // the file is written back, and little of it is held in memory
  const std::string path = dir_ / "cache.db";
  ASSERT_EQ(ask("GET /v1/cache").status, 200);
  std::string bytes = *read_file(path);
  std::fill(bytes.begin() + 4096, bytes.end(), 'z');
  { std::ofstream(path, std::ios::binary | std::ios::in) << bytes; }
  int status = 200;
  for (int i = 0; i < 8 && status == 200; ++i) {
    status = ask("GET /v1/cache/k" + std::to_string(i)).status;
  }
  EXPECT_EQ(status, 404);
  EXPECT_EQ(ask("PUT /v1/cache/k", "new").status, 200);
  EXPECT_EQ(ask("GET /v1/cache/k").body, "new");
  EXPECT_EQ(body_of(ask("GET /v1/cache"))["keys"].size(), 1U);
}

TEST_F(DataServerTest, ACacheThatCannotBeOpenedIsOpenedWhenItCanBe) {
  ask("PUT /v1/cache/k", "v");
  server_.reset();
  const std::string path = dir_ / "cache.db";
  std::filesystem::rename(path, path + ".hidden");
  std::filesystem::create_directory(path);
  start();  // nobody is kept from starting
  EXPECT_EQ(ask("GET /v1/cache/k").status, 503);
  const Answer refused = ask("PUT /v1/cache/k", "w");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Retry-After"), "5");
  EXPECT_EQ(ask("POST /v1/streams/a", "1").status, 200);
  std::filesystem::remove(path);
  std::filesystem::rename(path + ".hidden", path);
  clock_.advance(std::chrono::seconds(6));
  EXPECT_EQ(ask("GET /v1/cache/k").body, "v");
}

TEST_F(DataServerTest, WhatIsOverInOtherCachesMakesRoom) {
  cache_.max_total = 15'000;
  start();
  EXPECT_EQ(ask("PUT /v1/cache/a?ttl=1ms", std::string(9000, 'a'), "", "other").status, 200);
  EXPECT_TRUE(wait_until([&] { return ask("GET /v1/cache/a", "", "", "other").status == 404; }));
  EXPECT_EQ(ask("PUT /v1/cache/b", std::string(9000, 'b')).status, 200);
}

TEST_F(DataServerTest, AClosedSocketIsGoneAndComesBack) {
  server_->close("web");
  EXPECT_NE(access((dir_ / "web/data.sock").c_str(), F_OK), 0);
  ASSERT_TRUE(server_->open("web", dir_ / "web"));
  EXPECT_EQ(ask("POST /v1/streams/a", "1").status, 200);
}

}  // namespace
}  // namespace wherry::test
