// Answers no registry gives: what they may cost.

#include "runtime/image/http.h"

#include <arpa/inet.h>
#include <functional>
#include <netinet/in.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "tests/support/net.h"
#include "tests/support/wait.h"

namespace wherry::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// Takes one connection, reads the head of a request and writes whatever it is told, until the
// client hangs up.
class RawServer {
 public:
  using Send = std::function<bool(std::string_view)>;  // false: the client is gone
  // `any`: answers whatever comes first, such as the beginning of a TLS handshake.
  explicit RawServer(std::function<void(const Send&)> answer, bool any = false) : any_(any) {
    listener_ = test::listen_on_loopback(port_, 1);
    thread_ = std::thread([this, answer = std::move(answer)] { serve(answer); });
  }
  ~RawServer() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;
  int port() const { return port_; }

 private:
  void serve(const std::function<void(const Send&)>& answer) {
    const Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) return;
    std::string head;
    char part[512];
    while (head.find("\r\n\r\n") == std::string::npos && (!any_ || head.empty())) {
      const ssize_t got = recv(client.get(), part, sizeof part, 0);
      if (got <= 0) return;
      head.append(part, static_cast<size_t>(got));
    }
    answer([&](std::string_view bytes) {
      while (!bytes.empty()) {
        const ssize_t sent = send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(sent));
      }
      return true;
    });
  }

  const bool any_;
  Fd listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

Result<HttpHead> get(int port, std::string* body = nullptr,
                     HttpTimeouts timeouts = {seconds(30), seconds(30), 0}) {
  HttpSession session(timeouts);
  HttpRequest request;
  request.url = *parse_url("http://127.0.0.1:" + std::to_string(port) + "/v2/");
  const auto sink = [&](const HttpHead&, std::string_view bytes) -> Status {
    if (body != nullptr) body->append(bytes);
    return {};
  };
  return session.send(request, {}, sink, {});
}

int64_t peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// `part` again and again after `begin`: 256 MiB of it, were anybody to take them.
void expect_refused_cheaply(const std::string& begin, const std::string& part,
                            const std::string& why = "too long a head") {
  const int64_t before = peak_kib();
  RawServer server([&](const RawServer::Send& send) {
    if (!send(begin)) return;
    std::string many;
    while (many.size() < (1u << 20)) many += part;
    for (int i = 0; i < 256; ++i) {
      if (!send(many)) return;
    }
  });
  const auto answer = get(server.port());
  ASSERT_FALSE(answer) << begin;
  EXPECT_EQ(answer.error().code(), Code::Unavailable);
  EXPECT_THAT(answer.error().full(), HasSubstr(why)) << begin;
  EXPECT_LT(peak_kib() - before, 12 << 10) << begin;
}

TEST(Http, AnAnswerWithoutEndIsGivenUp) {
  expect_refused_cheaply("HTTP/1.1 200 ", "a");
  expect_refused_cheaply("", "a");
  expect_refused_cheaply("HTTP/1.1 200 OK\r\n", "X-A: b\r\n");
  expect_refused_cheaply("HTTP/1.1 200 OK\r\nX-A: ", "b");
  expect_refused_cheaply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "c");
  expect_refused_cheaply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
                         "X-A: b\r\n", "broke off");
  expect_refused_cheaply("", "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST(Http, ALongBodyIsNoLongHead) {
  const std::string piece(70'001, 'x');
  RawServer plain([&](const RawServer::Send& send) {
    (void)send("HTTP/1.1 200 OK\r\nContent-Length: 700010\r\n\r\n");
    for (int i = 0; i < 10; ++i) (void)send(piece);
  });
  std::string body;
  const auto answer = get(plain.port(), &body);
  ASSERT_TRUE(answer) << answer.error().full();
  EXPECT_EQ(body.size(), 700'010U);
  RawServer chunked([&](const RawServer::Send& send) {
    (void)send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 10; ++i) (void)send("11171\r\n" + piece + "\r\n");
    (void)send("0\r\n\r\n");
  });
  body.clear();
  ASSERT_TRUE(get(chunked.port(), &body));
  EXPECT_EQ(body.size(), 700'010U);
}

TEST(Http, AHeadOfManyLinesIsTaken) {
  RawServer server([&](const RawServer::Send& send) {
    std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n";
    for (int i = 0; i < 50; ++i)
      head += "X-" + std::to_string(i) + ": " + std::string(900, 'v') + "\r\n";
    (void)send(head + "\r\nok");
  });
  std::string body;
  const auto answer = get(server.port(), &body);
  ASSERT_TRUE(answer) << answer.error().full();
  EXPECT_EQ(body, "ok");
  EXPECT_EQ(answer->header("x-49").size(), 900U);
}

TEST(Http, AByteNowAndThenIsAStall) {
  CancelToken over;
  RawServer server([over](const RawServer::Send& send) {
    (void)send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 500 && !over.wait_for(milliseconds(10)); ++i) {
      if (!send("x")) return;
    }
  });
  const auto answer = get(server.port(), nullptr, {seconds(5), milliseconds(300), 0});
  over.cancel();
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().full(), HasSubstr("stalled: less than 1 KiB in 300ms"));
}

// Sends `begin` and then a byte every 20 ms, for longer than anybody waits.
std::function<void(const RawServer::Send&)> trickle(std::string begin) {
  return [begin = std::move(begin)](const RawServer::Send& send) {
    const CancelToken never;
    if (!send(begin)) return;
    for (int i = 0; i < 10'000 && send("x"); ++i) never.wait_for(milliseconds(20));
  };
}

Error get_by_tls(const std::string& authority, ProxySettings proxies = {}) {
  HttpSession session({seconds(30), milliseconds(300), 0}, std::move(proxies));
  HttpRequest request;
  request.url = *parse_url("https://" + authority + "/v2/");
  const auto sink = [](const HttpHead&, std::string_view) { return Status(); };
  const auto answer = session.send(request, {}, sink, {});
  return answer ? Error(Code::Internal, "it answered") : answer.error();
}

TEST(Http, ATlsHandshakeByteByByteIsGivenUp) {
  RawServer server(trickle(std::string("\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", 9)), true);
  const Error error = get_by_tls("127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(error.reason(), "RegistryUnavailable");
  EXPECT_THAT(error.full(), HasSubstr("no TLS connection within 300ms"));
}

TEST(Http, AnAnswerToConnectByteByByteIsGivenUp) {
  RawServer proxy(trickle("HTTP/1.1 200 OK\r\nX: "));
  ProxySettings proxies;
  proxies.https = "http://127.0.0.1:" + std::to_string(proxy.port());
  const Error error = get_by_tls("registry.example", proxies);
  EXPECT_EQ(error.reason(), "RegistryUnavailable");
}

TEST(Http, AKilobyteInTimeIsNoStallHoweverLongItTakes) {
  RawServer server([](const RawServer::Send& send) {
    const CancelToken never;
    (void)send("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n");
    for (int i = 0; i < 60; ++i) {
      static_cast<void>(never.wait_for(milliseconds(10)));
      if (!send(std::string(1000, 'x'))) return;
    }
  });
  std::string body;
  const auto answer = get(server.port(), &body, {seconds(5), milliseconds(300), 0});
  ASSERT_TRUE(answer) << answer.error().full();
  EXPECT_EQ(body.size(), 60'000U);
}

// Time that we take is none that the server takes.
TEST(Http, WhoReadsSlowlyIsNotStalled) {
  RawServer server([](const RawServer::Send& send) {
    (void)send("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + std::string(200, 'x'));
    (void)send(std::string(200, 'x'));
  });
  HttpSession session({seconds(5), seconds(1), 0});
  HttpRequest request;
  request.url = *parse_url("http://127.0.0.1:" + std::to_string(server.port()) + "/v2/");
  const CancelToken never;
  const auto slow = [&](const HttpHead&, std::string_view) -> Status {
    static_cast<void>(never.wait_for(milliseconds(1500)));
    return {};
  };
  const auto answer = session.send(request, {}, slow, {});
  EXPECT_TRUE(answer) << answer.error().full();
}

// Its queue of connections is full: it neither takes nor refuses another.
TEST(Http, HowLongAConnectionMayTakeCanBeSaid) {
  const Fd full(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(full.get(), plain, size), 0);
  ASSERT_EQ(listen(full.get(), 0), 0);
  ASSERT_EQ(getsockname(full.get(), plain, &size), 0);
  std::vector<Fd> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    static_cast<void>(connect(others.back().get(), plain, size));
  }
  HttpSession session({2 * test::kPatience, 2 * test::kPatience, 0});
  HttpRequest request;
  request.url = *parse_url("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/v2/");
  request.connect = milliseconds(100);
  const SystemClock clock;
  const MonoTime begin = clock.now();
  const auto answer = session.send(request, {}, {}, {});
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().full(), HasSubstr("no answer to connect"));
  EXPECT_LT(clock.now() - begin, test::kPatience);
}

}  // namespace
}  // namespace wherry::runtime
