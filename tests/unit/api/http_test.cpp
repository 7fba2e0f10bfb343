// The protocol itself: what is cut, slow, too large, ambiguous or simply not HTTP.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/api/http_message.h"
#include "base/files.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

Answer talk(const std::string& socket, const std::string& bytes) {
  const auto client = RawClient::unix_socket(socket);
  client->send(bytes);
  return client->answer();
}

TEST_F(ApiTest, MalformedRequestsAreRefused) {
  start();
  const std::vector<std::pair<std::string, int>> cases = {
      {"\r\n\r\n", 400},
      {"GET\r\n\r\n", 400},
      {"GET /healthz\r\n\r\n", 400},
      {"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", 505},
      {"GET /healthz FTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"G(T /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /healthz HTTP/1.1\r\n\r\n", 400},                        // no Host
      {"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},  // which?
      {"GET /healthz HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400},
      {"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n", 400},
      {"GET /healthz HTTP/1.1\r\nHost\r\n\r\n", 400},
      {"GET /healthz HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400},
      {"GET /healthz HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
       400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
       400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 1 1\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length\t: 1\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "identity\r\n\r\n",
       400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0b"
       "chunked\r\n\r\n",
       400},
      {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x01\r\n\r\n", 400},
      {std::string("GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 42), 400},
      {std::string("GET /heal\0thz HTTP/1.1\r\nHost: x\r\n\r\n", 35), 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: "
       "chunked\r\n\r\n",
       400},
      {"POST /v1/images HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"POST /v1/images HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n", 417},
      {"GET /healthz HTTP/1.0\r\n\r\n", 200},  // a Host is new in 1.1
      {"GET /healthz? HTTP/1.1\r\nHost: x\r\nX: \xC3\xA4\r\n\r\n", 200},
      {"GET /healthz#x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
  };
  for (const auto& [bytes, status] : cases) {
    EXPECT_EQ(talk(socket(), bytes).status, status) << bytes;
  }
  EXPECT_EQ(ask("GET /healthz").status, 200);
}

TEST_F(ApiTest, HeadLimits) {
  start();
  EXPECT_EQ(ask("GET /" + std::string(http::kMaxTargetBytes, 'a')).status, 414);
  EXPECT_EQ(ask("GET /healthz", "X: " + std::string(http::kMaxHeadBytes, 'a') + "\r\n").status,
            431);
  // Without an end in sight, too: nothing is gathered for ever.
  EXPECT_EQ(talk(socket(), "GET /" + std::string(1u << 20, 'a')).status, 431);
  std::string many;
  for (size_t i = 0; i < http::kMaxHeaders; ++i) many += "A: b\r\n";
  EXPECT_EQ(ask("GET /healthz", many).status, 431);
  EXPECT_EQ(ask("GET /healthz", many.substr(6)).status, 200);
}

TEST_F(ApiTest, ASlowHeadIsCutOff) {
  options.limits.timeouts.head = std::chrono::milliseconds(50);
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("GET /healthz HT");
  EXPECT_EQ(client->answer().status, 408);
  // One that says nothing is not worth an answer.
  EXPECT_EQ(RawClient::unix_socket(socket())->answer().status, 0);
}

// However steadily it drips.
TEST_F(ApiTest, AHeadThatNeverEndsIsCutOff) {
  options.limits.timeouts.linger = std::chrono::milliseconds(50);
  options.limits.timeouts.head = std::chrono::milliseconds(50);
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("GET /healthz HTTP/1.1\r\nX: ");
  EXPECT_TRUE(wait_until([&] { return !client->send("x"); }));
}

TEST_F(ApiTest, AnAnswerThatIsTakenTooSlowlyIsCutOff) {
  options.limits.timeouts.write = std::chrono::milliseconds(50);
  StateView state = sample_state();
  state.workloads[1].message = std::string(8u << 20, 'm');  // more than the socket's buffers hold
  set_state(state);
  start();
  const auto client = RawClient::unix_socket(socket());
  client->send("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
  // Reading a little now and then does not help it: the other side gives up.
  char byte = 0;
  ASSERT_TRUE(client->wait_for("200 OK"));
  EXPECT_TRUE(wait_until([&] {
    (void)recv(client->fd(), &byte, 1, MSG_DONTWAIT);
    pollfd entry{client->fd(), POLLRDHUP, 0};
    return poll(&entry, 1, 0) == 1;
  }));
  EXPECT_FALSE(client->answer().complete);
  EXPECT_EQ(ask("GET /healthz").status, 200);
}

TEST_F(ApiTest, OnlyTheFirstOfSeveralRequestsIsAnswered) {
  start();
  const std::string first = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string order =
      "POST /v1/workloads/web/restart HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
  for (const std::string& begin : std::vector<std::string>{
           first, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
           "POST /v1/workloads/nobody/exec HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
           "POST /v1/workloads/nobody/exec HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
           "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"}) {
    std::string all = begin;
    for (int i = 0; i < 50; ++i) all += order;
    const Answer answer = talk(socket(), all);
    EXPECT_NE(answer.status, 0) << begin;
    EXPECT_TRUE(answer.complete) << answer.body;
    EXPECT_EQ(answer.header("Connection"), "close");
  }
  EXPECT_TRUE(orders().empty());
}

TEST_F(ApiTest, OtherMethodsDoNothing) {
  start();
  const Answer trace = ask("TRACE /healthz", "X-Secret: s3cr3t\r\n");
  EXPECT_EQ(trace.status, 405);
  EXPECT_EQ(trace.head.find("s3cr3t") + trace.body.find("s3cr3t"), 2 * std::string::npos);
  EXPECT_EQ(ask("CONNECT 10.0.0.1:80").status, 400);
  EXPECT_EQ(ask("OPTIONS *").status, 400);
  for (const char* method : {"OPTIONS", "CONNECT", "PATCH", "DELETE", "get", "M-SEARCH", "PRI"}) {
    const Answer answer = ask(std::string(method) + " /v1/workloads/web/restart");
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_EQ(answer.header("Allow"), "POST");
  }
  EXPECT_EQ(ask("HEAD /v1/workloads/web/restart").status, 405);
  EXPECT_TRUE(orders().empty());
}

TEST_F(ApiTest, AHeadInSmallPiecesIsFine) {
  start();
  const auto client = RawClient::unix_socket(socket());
  for (const char c : std::string("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")) {
    ASSERT_TRUE(client->send(std::string(1, c)));
  }
  EXPECT_EQ(client->answer().status, 200);
}

TEST_F(ApiTest, ClientsThatGoAwayHurtNobody) {
  start();
  for (const char* bytes : {"", "GET", "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    const auto client = RawClient::unix_socket(socket());
    client->send(bytes);
    client->close();
  }
  EXPECT_EQ(ask("GET /healthz").status, 200);
}

TEST_F(ApiTest, MoreConnectionsThanPlacesAreToldSo) {
  options.limits.threads = 2;
  options.limits.queued = 1;
  start();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 2; ++i) {
    idle.push_back(RawClient::unix_socket(socket()));
    idle.back()->send("GET /healthz");
  }
  Answer refused;
  // The queue may still be empty for a moment: ask until it is not.
  ASSERT_TRUE(wait_until([&] {
    idle.push_back(RawClient::unix_socket(socket()));
    idle.back()->send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    auto extra = RawClient::unix_socket(socket());
    extra->send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    refused = extra->answer();
    return refused.status == 503;
  }));
  EXPECT_EQ(refused.header("Retry-After"), "1");
  idle.clear();
  EXPECT_TRUE(wait_until([&] { return ask("GET /healthz").status == 200; }));
}

TEST_F(ApiTest, TheSocketFile) {
  options.socket = dir / "run/deep/api.sock";
  start();
  struct stat info {};
  ASSERT_EQ(stat(options.socket.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0660u);

  // Served already: not taken over.
  ApiServer second(options, {board, clock, logs, images, {}, {}, {}, {}, {}});
  const Status refused = second.start();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::AlreadyExists);
  EXPECT_EQ(ask("GET /healthz").status, 200);

  server->stop();
  EXPECT_NE(stat(options.socket.c_str(), &info), 0);
  server->stop();
}

TEST_F(ApiTest, AStaleSocketIsReplacedAFileIsNot) {
  ASSERT_TRUE(make_directories(dir / "run"));
  {
    auto crashed = http::Listener::unix_socket(dir / "old.sock", "");
    ASSERT_TRUE(crashed);
    // What a killed agent leaves: the file without anybody behind it.
    ASSERT_EQ(rename((dir / "old.sock").c_str(), options.socket.c_str()), 0);
  }
  start();
  EXPECT_EQ(ask("GET /healthz").status, 200);

  write_text(dir / "file", "precious");
  const auto refused = http::Listener::unix_socket(dir / "file", "");
  ASSERT_FALSE(refused);
  EXPECT_EQ(read_text(dir / "file"), "precious");
  EXPECT_FALSE(http::Listener::unix_socket(dir / std::string(120, 'x'), ""));
}

TEST(PercentDecode, OnlyWhatIsCleanText) {
  using http::percent_decode;
  EXPECT_EQ(percent_decode("a%20b+c"), "a b+c");
  EXPECT_EQ(percent_decode("%C3%A4"), "ä");
  EXPECT_EQ(percent_decode(""), "");
  for (const char* bad : {"%", "%4", "%4g", "%00", "%7f", "%C3", "%ed%a0%80"}) {
    EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace wherry::test
