// TCP: the token, the Host header, and that it never starves the local socket.
#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "agent/api/guard.h"
#include "agent/api/http_server.h"
#include "base/files.h"
#include "tests/unit/api/api_fixture.h"

namespace wherry::test {
namespace {

constexpr const char* kToken = "0123456789abcdef-token";

class TcpTest : public ApiTest {
 protected:
  TcpTest() {
    options.listen = "127.0.0.1:0";
    options.token_file = dir / "token";
    write_text(options.token_file, std::string(kToken) + "\n", 0640);
  }
  static std::string bearer(const std::string& token) {
    return "Host: 127.0.0.1\r\nAuthorization: Bearer " + token + "\r\n";
  }
  // The status that a request with `headers` is refused with; 0: it may go on.
  int refused(Guard& guard, const http::Peer& peer, const std::string& headers) const {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    const RawClient client(ends[0]);
    EXPECT_TRUE(client.send("GET /v1/status HTTP/1.1\r\n" + headers + "\r\n"));
    http::Exchange exchange(std::make_shared<http::Socket>(ends[1]), peer, options.limits.timeouts);
    EXPECT_TRUE(exchange.receive());
    const auto problem = guard.check(exchange);
    return problem ? problem->status : 0;
  }
};

const http::Peer kOne{true, false, "", "10.0.0.7"};
const http::Peer kAnother{true, false, "", "10.0.0.8"};

http::Peer peer_at(const char* text) {
  sockaddr_storage address{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    address.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
    address.ss_family = AF_INET6;
  }
  return http::peer_of(address);
}

// Else whoever is on this device had as many places, requests and guesses as there are addresses.
TEST(PeerOf, AllLoopbackAddressesAreOneClient) {
  for (const char* address : {"127.0.0.1", "127.0.0.2", "127.255.255.254", "::1",
                              "::ffff:127.0.0.1", "::ffff:127.9.9.9"}) {
    const http::Peer peer = peer_at(address);
    EXPECT_TRUE(peer.tcp) << address;
    EXPECT_TRUE(peer.loopback) << address;
    EXPECT_EQ(peer.client, "127.0.0.1") << address;
  }
}

TEST(PeerOf, OthersCountByAddressOrNetwork) {
  for (const auto& [address, client] : {std::pair{"10.0.0.7", "10.0.0.7"},
                                        {"128.0.0.1", "128.0.0.1"},
                                        {"::ffff:10.0.0.7", "10.0.0.7"},
                                        {"2001:db8::7", "2001:db8::/64"},
                                        {"::2", "::/64"}}) {
    const http::Peer peer = peer_at(address);
    EXPECT_TRUE(peer.tcp) << address;
    EXPECT_FALSE(peer.loopback) << address;
    EXPECT_EQ(peer.client, client) << address;
  }
}

TEST_F(TcpTest, TheTokenOpensIt) {
  start();
  ASSERT_TRUE(server->tcp_status());
  ASSERT_GT(server->tcp_port(), 0);
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 200);
  EXPECT_EQ(ask_tcp("GET /v1/status", "Host: localhost:7070\r\nAuthorization: bearer  " +
                                          std::string(kToken) + "\r\n")
                .status,
            200);
}

TEST_F(TcpTest, NothingElseDoes) {
  start();
  const std::string token = kToken;
  for (const std::string& wrong :
       {token + "x", token.substr(1), token.substr(0, token.size() - 1), std::string("x"),
        std::string(), token + "\t" + token, "X" + token.substr(1)}) {
    EXPECT_EQ(ask_tcp("GET /v1/status", bearer(wrong)).status, 401) << wrong;
  }
  const Answer none = ask_tcp("GET /v1/status", "Host: localhost\r\n");
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.header("WWW-Authenticate"), "Bearer realm=\"wherry\"");
  EXPECT_EQ(
      ask_tcp("GET /v1/status", "Host: localhost\r\nAuthorization: Basic " + token + "\r\n").status,
      401);
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(token) + "Authorization: Bearer x\r\n").status, 400);
  // Nothing about what exists is told without it.
  EXPECT_EQ(ask_tcp("GET /v1/nothing", "Host: localhost\r\n").status, 401);
  EXPECT_EQ(ask_tcp("POST /v1/images", "Host: localhost\r\nContent-Length: 5\r\n").status, 401);
}

// An archive can put other bytes behind the names in a signed document.
TEST_F(TcpTest, WhereDocumentsAreSignedNoImagesAreTaken) {
  options.tcp_imports = false;
  start();
  const Answer answer = ask_tcp("POST /v1/images", bearer(kToken) + "Content-Length: 7\r\n");
  EXPECT_EQ(answer.status, 403) << answer.body;
  EXPECT_NE(answer.body.find("SignatureRequired"), std::string::npos) << answer.body;
  EXPECT_EQ(ask("POST /v1/images", "Content-Length: 7\r\n", "archive").status, 201);
}

TEST_F(TcpTest, DocumentsFromTheNetworkAreHandedOnAsSuch) {
  start();
  const std::string headers = bearer(kToken) + "Content-Length: 7\r\n";
  EXPECT_EQ(ask_tcp("PUT /v1/desired", headers, "kind: x", "127.0.0.1").status, 200);
  EXPECT_TRUE(apply_asked().from_network);
  EXPECT_EQ(ask_tcp("POST /v1/plan", headers, "kind: x", "127.0.0.1").status, 200);
  EXPECT_TRUE(plan_asked().from_network);
}

TEST_F(TcpTest, HealthIsFreeOnLoopback) {
  start();
  EXPECT_EQ(ask_tcp("GET /healthz", "Host: localhost\r\n").status, 200);
  EXPECT_EQ(ask_tcp("GET /metrics", "Host: localhost\r\n").status, 200);
  EXPECT_EQ(ask_tcp("GET /readyz", "Host: localhost\r\n").status, 401);
}

TEST_F(TcpTest, HealthIsNotFreeFromElsewhere) {
  for (const bool loopback : {true, false}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    const RawClient client(ends[0]);
    ASSERT_TRUE(client.send("GET /healthz HTTP/1.1\r\nHost: 10.0.0.7\r\n\r\n"));
    http::Exchange exchange(std::make_shared<http::Socket>(ends[1]), {true, loopback},
                            options.limits.timeouts);
    ASSERT_TRUE(exchange.receive());
    const auto problem = Guard(options.token_file, {}, clock).check(exchange);
    EXPECT_EQ(problem.has_value(), !loopback);
    if (problem) {
      EXPECT_EQ(problem->status, 401);
    }
  }
}

TEST_F(TcpTest, AForeignHostIsTurnedAway) {
  start();
  for (const char* host :
       {"evil.example", "evil.example:7070", "127.0.0.1.evil.example", "", "[::1",
        "localhost.evil.example", "1.2.3", "[evil]", "127.0.0.1:80:80", "localhost:x",
        "127.0.0.1@evil.example", "evil.example@127.0.0.1", "::1", "0x7f.1", "localhost.",
        "127.0.0.1, evil.example", "evil.example#127.0.0.1"}) {
    EXPECT_EQ(ask_tcp("GET /healthz", std::string("Host: ") + host + "\r\n").status, 421) << host;
  }
  for (const char* host : {"127.0.0.1:7070", "[::1]:7070", "[::1]", "LOCALHOST", "192.168.1.9"}) {
    EXPECT_EQ(ask_tcp("GET /healthz", std::string("Host: ") + host + "\r\n").status, 200) << host;
  }
}

TEST_F(TcpTest, AChangedTokenCountsAtOnce) {
  start();
  write_text(options.token_file, "another-token-of-mine\n", 0640);
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 401);
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer("another-token-of-mine")).status, 200);
  ASSERT_EQ(chmod(options.token_file.c_str(), 0644), 0);
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer("another-token-of-mine")).status, 503);
}

TEST_F(TcpTest, WithoutAUsableTokenOnlyTheSocketIsServed) {
  const std::vector<std::pair<std::string, unsigned>> bad = {{"", 0600},
                                                             {"short\n", 0600},
                                                             {"correct horse battery\n", 0600},
                                                             {std::string(kToken), 0644},
                                                             {std::string(kToken), 0642},
                                                             {std::string(kToken), 0660}};
  for (const auto& [text, mode] : bad) {
    write_text(options.token_file, text, mode);
    ASSERT_EQ(chmod(options.token_file.c_str(), mode), 0);
    start();
    EXPECT_FALSE(server->tcp_status());
    EXPECT_EQ(server->tcp_port(), 0);
    EXPECT_EQ(ask("GET /v1/status").status, 200);
    server.reset();
  }
  options.token_file = dir / "missing";
  start();
  EXPECT_FALSE(server->tcp_status());
  EXPECT_EQ(ask("GET /v1/status").status, 200);
}

TEST_F(TcpTest, ATokenThatOthersMayReplaceIsNone) {
  EXPECT_TRUE(Guard::read_token(options.token_file));
  const std::string around = dir / "shared";
  ASSERT_TRUE(make_directories(around, 0755));
  options.token_file = around + "/token";
  write_text(options.token_file, kToken, 0600);
  EXPECT_TRUE(Guard::read_token(options.token_file));
  for (const mode_t mode : {0775, 0757}) {
    ASSERT_EQ(chmod(around.c_str(), mode), 0);
    const auto token = Guard::read_token(options.token_file);
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().full(),
              "api.token_file: " + around + " may be changed by other users: chmod go-w " + around);
  }
  ASSERT_EQ(chmod(around.c_str(), 0755), 0);
  EXPECT_THAT(Guard::read_token(around).error().full(),
              testing::HasSubstr("is a directory; a file is needed"));
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  ASSERT_EQ(chown(options.token_file.c_str(), 65534, 65534), 0);
  const auto token = Guard::read_token(options.token_file);
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().full(), "api.token_file: " + options.token_file +
                                      " belongs to another user, who could change it: chown root " +
                                      options.token_file);
}

TEST_F(TcpTest, WhatIsMendedIsServedWithoutARestart) {
  options.tcp_retry = std::chrono::milliseconds(10);
  const auto serves = [this] { return server->tcp_port() > 0; };
  ASSERT_EQ(chmod(options.token_file.c_str(), 0644), 0);
  start();
  ASSERT_FALSE(server->tcp_status());
  EXPECT_THAT(server->tcp_status().error().full(), testing::HasSubstr("chmod 600"));
  ASSERT_EQ(chmod(options.token_file.c_str(), 0640), 0);
  ASSERT_TRUE(wait_until(serves));
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 200);
  EXPECT_TRUE(server->tcp_status());
  server.reset();

  auto other = std::make_optional(http::Listener::tcp("127.0.0.1:0"));
  ASSERT_TRUE(*other);
  options.listen = "127.0.0.1:" + std::to_string((*other)->port());
  start();
  ASSERT_FALSE(server->tcp_status());
  EXPECT_THAT(server->tcp_status().error().full(), testing::HasSubstr("in use"));
  other.reset();
  ASSERT_TRUE(wait_until(serves));
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 200);
}

TEST_F(TcpTest, ATokenThatIsSpoiledLaterIsTold) {
  start();
  ASSERT_TRUE(server->tcp_status());
  write_text(options.token_file, "short\n", 0640);
  ASSERT_FALSE(server->tcp_status());
  EXPECT_THAT(server->tcp_status().error().full(), testing::HasSubstr("shorter than 16"));
  for (const char* unsendable : {"correct horse battery staple\n", "0123456789\tabcdef\n",
                                 "0123456789abcdef\x7f\n", "0123456789abcdef\xc3\xa4\n"}) {
    write_text(options.token_file, unsendable, 0640);
    ASSERT_FALSE(server->tcp_status()) << unsendable;
    EXPECT_THAT(server->tcp_status().error().full(),
                testing::HasSubstr("only visible ASCII: openssl"));
    EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 503);
  }
  write_text(options.token_file, " !#$%&'()*+,-./:;<=>?@[]^_`{|}~ \r\n", 0640);
  EXPECT_TRUE(server->tcp_status()) << "all signs are taken, and what is around it is left out";
  write_text(options.token_file, std::string(kToken) + "\n", 0640);
  EXPECT_TRUE(server->tcp_status());
}

TEST_F(TcpTest, BadAddresses) {
  for (const char* address : {"127.0.0.1", "localhost:port", "127.0.0.1:70000", "device:7070",
                              "[::1:7070", ":", "1.2.3:80"}) {
    EXPECT_FALSE(http::Listener::tcp(address)) << address;
  }
  const auto first = http::Listener::tcp("localhost:0");
  ASSERT_TRUE(first);
  const auto second = http::Listener::tcp("127.0.0.1:" + std::to_string(first->port()));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::AlreadyExists);
}

TEST_F(TcpTest, TheNetworkCannotStarveTheSocket) {
  options.limits.threads = 4;
  options.limits.tcp_connections = 2;
  start();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 8; ++i) {
    idle.push_back(RawClient::tcp(server->tcp_port()));
    idle.back()->send("GET /v1/status");
  }
  EXPECT_EQ(ask("GET /v1/status").status, 200);
  const Answer refused = idle.back()->answer();
  EXPECT_TRUE(refused.status == 503 || refused.status == 0) << refused.status;
}

// The clock of the fixture stands still: nothing is refilled but by advance().
TEST_F(TcpTest, TooManyRequestsAreToldWhenToComeBack) {
  options.rates.requests = {.per_second = 2, .at_once = 6};
  start();
  EXPECT_EQ(ask_tcp("rubbish", "").status, 400) << "counts, though it is no request at all";
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 200);
  const Answer refused = ask_tcp("GET /v1/status", bearer(kToken));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_NE(refused.body.find("TooManyRequests"), std::string::npos) << refused.body;
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken), "", "127.0.0.2").status, 429)
      << "another address of the same device";
  EXPECT_EQ(ask("GET /v1/status").status, 200) << "the unix socket has no such limit";
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 200);
}

TEST_F(TcpTest, EachAddressHasRequestsOfItsOwn) {
  options.rates.requests = {.per_second = 2, .at_once = 1};
  Guard guard(options.token_file, options.rates, clock);
  http::Peer one = kOne, another = kAnother;
  EXPECT_FALSE(guard.admit(one));
  EXPECT_TRUE(guard.admit(one));
  EXPECT_FALSE(guard.admit(another));
}

TEST_F(TcpTest, WrongTokensAreLimitedHarder) {
  start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask_tcp("GET /v1/status", bearer("guess")).status, 401);
  const Answer refused = ask_tcp("GET /v1/status", bearer("guess"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Retry-After"), "10");
  EXPECT_NE(refused.body.find("TooManyWrongTokens"), std::string::npos) << refused.body;
  // Else the difference of the answers would say which guess was right.
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 429);
  EXPECT_EQ(ask_tcp("GET /v1/status", "Host: localhost\r\n").status, 401) << "no guess";
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken), "", "127.0.0.2").status, 429)
      << "another address of the same device";
  EXPECT_EQ(ask_tcp("GET /healthz", "Host: localhost\r\n").status, 200);
  clock.advance(std::chrono::seconds(11));
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken)).status, 200);
}

TEST_F(TcpTest, WrongTokensOfOneAddressAreNotHeldAgainstAnother) {
  Guard guard(options.token_file, {}, clock);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(refused(guard, kOne, bearer("guess")), 401);
  EXPECT_EQ(refused(guard, kOne, bearer(kToken)), 429);
  EXPECT_EQ(refused(guard, kAnother, bearer(kToken)), 0);
}

TEST_F(TcpTest, OneClientTakesNotAllPlaces) {
  options.limits.client_connections = 2;
  options.limits.timeouts.head = std::chrono::hours(1);  // they stay, however slow the machine is
  start();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (const char* from : {"127.0.0.1", "127.0.0.2"}) {
    idle.push_back(RawClient::tcp(server->tcp_port(), from));
    idle.back()->send("GET /healthz");
  }
  const Answer refused = ask_tcp("GET /healthz", "Host: localhost\r\n", "", "127.0.0.3");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(ask("GET /healthz").status, 200);
  idle.clear();
  EXPECT_TRUE(
      wait_until([&] { return ask_tcp("GET /healthz", "Host: localhost\r\n").status == 200; }));
}

// Of addresses that are not the device's own there are none here: whom each connection counts for
// is made up when it is let in.
TEST(ServerPlaces, ManyClientsTakeNoMoreThanThereAre) {
  http::ServerLimits limits;
  limits.tcp_connections = 4;
  limits.client_connections = 2;
  limits.timeouts.head = std::chrono::hours(1);
  std::atomic<char> next{'a'};
  std::atomic<int> admitted{0};
  http::Server server(
      "places", limits,
      [](http::Exchange& exchange) { exchange.respond(200, "text/plain", "here"); },
      [&](http::Peer& peer) {
        peer.client = std::string(1, next);
        ++admitted;
        return std::optional<http::Problem>();
      });
  auto listener = http::Listener::tcp("127.0.0.1:0");
  ASSERT_TRUE(listener);
  const int port = listener->port();
  std::vector<http::Listener> listeners;
  listeners.push_back(std::move(*listener));
  ASSERT_TRUE(server.start(std::move(listeners)));
  const auto stay = [&](char client) {
    next = client;
    const int before = admitted;
    auto idle = RawClient::tcp(port);
    EXPECT_TRUE(wait_until([&] { return admitted > before; }));
    return idle;
  };
  const auto status = [&](char client) {
    next = client;
    const auto asks = RawClient::tcp(port);
    asks->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    return asks->answer().status;
  };
  auto first = stay('a'), second = stay('a');
  EXPECT_EQ(status('a'), 429);
  auto third = stay('b'), fourth = stay('c');
  EXPECT_EQ(status('d'), 503) << "all places are taken";
  third.reset();
  fourth.reset();
  EXPECT_TRUE(wait_until([&] { return status('d') == 200; }));
  EXPECT_EQ(status('a'), 429);
  first.reset();
  second.reset();
  EXPECT_TRUE(wait_until([&] { return status('a') == 200; }));
  server.stop(std::chrono::seconds(1));
}

TEST_F(TcpTest, APageOfAnotherSiteChangesNothing) {
  start();
  const std::string good = bearer(kToken) + "Content-Length: 0\r\n";
  for (const char* from :
       {"Origin: http://evil.example\r\n", "Origin: null\r\n", "Origin: \r\n",
        "Origin: http://127.0.0.1:8080\r\n", "Origin: http://127.0.0.1.evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://127.0.0.1\r\n",
        "Sec-Fetch-Site: Same-Origin\r\n"}) {
    const Answer refused = ask_tcp("POST /v1/workloads/web/restart", good + from);
    EXPECT_EQ(refused.status, 403) << from;
    EXPECT_NE(refused.body.find("CrossSite"), std::string::npos) << from;
    // By whatever way the browser comes, and without a token: nothing is told of that either.
    EXPECT_EQ(ask("POST /v1/workloads/web/restart", from).status, 403) << from;
    EXPECT_EQ(ask_tcp("PUT /v1/desired", std::string("Host: localhost\r\n") + from).status, 403);
  }
  EXPECT_TRUE(orders().empty());
  for (const char* from : {"", "Origin: http://127.0.0.1\r\n", "Origin: HTTPS://127.0.0.1\r\n",
                           "Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: none\r\n",
                           "Sec-Fetch-Site: same-origin\r\nOrigin: https://a.proxy.example\r\n"}) {
    EXPECT_EQ(ask_tcp("POST /v1/workloads/web/restart", good + from).status, 202) << from;
  }
  // A link elsewhere that leads here is no harm.
  EXPECT_EQ(ask_tcp("GET /v1/status", bearer(kToken) + "Sec-Fetch-Site: cross-site\r\n").status,
            200);
}

TEST_F(TcpTest, AFormChangesNothing) {
  start();
  for (const char* type :
       {"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain",
        "Text/Plain;charset=utf-8", "application/x-www-form-urlencoded ; a=b"}) {
    const std::string header = std::string("Content-Type: ") + type + "\r\n";
    const Answer refused =
        ask_tcp("POST /v1/workloads/web/stop", bearer(kToken) + header + "Content-Length: 2\r\n",
                "a=", "127.0.0.1");
    EXPECT_EQ(refused.status, 415) << type;
    EXPECT_NE(refused.body.find("Content-Type: application/json"), std::string::npos);
    EXPECT_EQ(ask_tcp("POST /v1/workloads/web/stop", "Host: localhost\r\n" + header).status, 401);
  }
  EXPECT_TRUE(orders().empty());
  // curl's -d, on the unix socket, where no browser gets.
  EXPECT_EQ(ask("POST /v1/workloads/web/stop",
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n", "{}")
                .status,
            202);
  EXPECT_EQ(orders().size(), 1U);
}

TEST_F(TcpTest, APreflightIsNotGranted) {
  start();
  const Answer answer = ask_tcp("OPTIONS /v1/workloads/web/restart",
                                "Host: 127.0.0.1\r\nOrigin: http://evil.example\r\n"
                                "Access-Control-Request-Method: POST\r\n"
                                "Access-Control-Request-Headers: authorization\r\n");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.head.find("Access-Control"), std::string::npos) << answer.head;
}

}  // namespace
}  // namespace wherry::test
