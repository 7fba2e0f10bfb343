// What is said to servers, and what their answers mean.

#include "runtime/probe/dialogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry::runtime {
namespace {

using testing::HasSubstr;
using testing::Not;

Handler get(std::string path = "/healthz") {
  Handler handler;
  handler.kind = Handler::Kind::HttpGet;
  handler.path = std::move(path);
  return handler;
}

// Byte by byte, as a network may bring it. "" where it is good, "…" while nothing is known.
std::string verdict_on(Dialogue& dialogue, std::string_view answer, bool closed = false) {
  std::string reply;
  for (const char c : answer) {
    if (const auto verdict = dialogue.take({&c, 1}, reply)) {
      return *verdict ? "" : verdict->error().message();
    }
  }
  if (!closed) return "…";
  const Status end = dialogue.closed();
  return end ? "" : end.error().message();
}
std::string verdict_on(std::string_view answer, bool closed = false) {
  return verdict_on(*http_dialogue(get(), "10.0.0.1:80", false), answer, closed);
}

TEST(Http, AsksAsKubernetesDoes) {
  Handler handler = get();
  handler.headers = {{"X-A", "b"}, {"host", "web.local"}, {"Accept", ""}};
  const std::string request = http_dialogue(handler, "10.0.0.1:80", false)->opening();
  EXPECT_THAT(request, testing::StartsWith("GET /healthz HTTP/1.1\r\n"));
  EXPECT_THAT(request, testing::EndsWith("\r\n\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nX-A: b\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nhost: web.local\r\n"));
  EXPECT_THAT(request, Not(HasSubstr("10.0.0.1")));
  EXPECT_THAT(request, Not(HasSubstr("Accept")));
  EXPECT_THAT(http_dialogue(get(), "[::1]:80", false)->opening(),
              HasSubstr("\r\nHost: [::1]:80\r\n"));
}

TEST(Http, InterimAnswersAreNotTheAnswer) {
  const std::string hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  EXPECT_EQ(verdict_on("HTTP/1.1 100 Continue\r\n\r\n" + hints + "HTTP/1.1 200 OK\r\n"), "");
  EXPECT_EQ(verdict_on(hints + "HTTP/1.1 503\r\n"), "HTTP status 503");
  EXPECT_EQ(verdict_on("HTTP/1.1 102\n\nHTTP/1.1 204\n"), "");
  EXPECT_EQ(verdict_on(hints), "…");
  EXPECT_EQ(verdict_on(hints, true), "the server hung up without an answer");
  EXPECT_EQ(verdict_on("HTTP/1.1 100\r\nA: " + std::string(32 << 10, 'x')),
            "the answer is not HTTP");
  std::string many;
  for (int i = 0; i < 1000; ++i) many += hints;
  many += "HTTP/1.1 200 OK\r\n";
  EXPECT_EQ(verdict_on(many), "") << "each is forgotten";
  std::string reply;
  const auto at_once = http_dialogue(get(), "h:1", false)->take(many, reply);
  EXPECT_TRUE(at_once && *at_once) << "in one piece too";
}

TEST(Http, TheStatusDecides) {
  EXPECT_EQ(verdict_on("HTTP/1.1 200 OK\r\n"), "");
  EXPECT_EQ(verdict_on("HTTP/1.0 204\r\n"), "");
  EXPECT_EQ(verdict_on("HTTP/1.1 302 Found\r\nLocation: /"), "");
  EXPECT_EQ(verdict_on("HTTP/1.1 404 Not Found\r\n"), "HTTP status 404");
  EXPECT_EQ(verdict_on("HTTP/1.1 503 \r\n"), "HTTP status 503");
  EXPECT_EQ(verdict_on("HTTP/1.1 101 Switching\r\n"), "HTTP status 101");
  EXPECT_EQ(verdict_on("HTTP/1.1 2"), "…");
  EXPECT_EQ(verdict_on("SSH-2.0-OpenSSH_9.2\r\n"), "the answer is not HTTP");
  EXPECT_EQ(verdict_on("HTTP/1.1 \r\n"), "the answer is not HTTP");
  EXPECT_EQ(verdict_on(std::string(100'000, 'x')), "the answer is not HTTP");
  EXPECT_EQ(verdict_on("", true), "the server hung up without an answer");
  EXPECT_EQ(verdict_on("HTTP/1.1 200", true), "");
  EXPECT_EQ(verdict_on(*http_dialogue(get(), "h:1", true), "HTTP/1.1 500 \r\n"), "")
      << "to a hook every answer is good";
}

std::string frame(uint8_t type, uint8_t flags, uint8_t stream, const std::string& payload) {
  std::string text("\0\0", 2);
  for (const auto each : {static_cast<uint8_t>(payload.size()), type, flags}) {
    text += static_cast<char>(each);
  }
  return text + std::string("\0\0\0", 3) + static_cast<char>(stream) + payload;
}
std::string message(const std::string& body) {
  return std::string("\0\0\0\0", 4) + static_cast<char>(body.size()) + body;
}
std::string grpc_verdict(const std::string& answer, bool closed = false) {
  Handler handler;
  handler.kind = Handler::Kind::Grpc;
  return verdict_on(*grpc_dialogue(handler, "h:1"), answer, closed);
}

TEST(Grpc, TheServingStatusDecides) {
  const std::string settings = frame(4, 0, 0, "");
  const std::string headers = frame(1, 4, 1, "\x88");
  EXPECT_EQ(grpc_verdict(settings + headers + frame(0, 0, 1, message("\x08\x01"))), "");
  EXPECT_EQ(grpc_verdict(headers + frame(0, 8, 1, "\x02" + message("\x08\x01") + "zz")), "")
      << "padded";
  EXPECT_EQ(grpc_verdict(frame(0, 0, 1, message("\x08\x02"))), "gRPC health is NOT_SERVING");
  EXPECT_EQ(grpc_verdict(frame(0, 0, 1, message(""))), "gRPC health is UNKNOWN");
  EXPECT_THAT(grpc_verdict(frame(1, 5, 1, "\x88")), HasSubstr("must offer grpc.health.v1.Health"));
  EXPECT_EQ(grpc_verdict(settings + headers), "…");
}

TEST(Grpc, HostileAnswersAreBounded) {
  EXPECT_EQ(grpc_verdict("HTTP/1.1 400 Bad Request\r\n\r\n"), "the answer is not gRPC");
  EXPECT_EQ(grpc_verdict(frame(0, 8, 1, "\x7f")), "the answer is not gRPC");
  EXPECT_EQ(grpc_verdict(frame(0, 0, 1, std::string("\x01\0\0\0\0", 5))), "the answer is not gRPC")
      << "compressed, which was not offered";
  EXPECT_EQ(grpc_verdict(frame(7, 0, 0, "12345678")), "the server hung up without an answer");
  std::string endless;
  for (int i = 0; i < 200; ++i) endless += frame(6, 1, 0, "12345678");
  EXPECT_EQ(grpc_verdict(endless), "the answer is not gRPC");
  EXPECT_EQ(grpc_verdict("", true), "the server hung up without an answer");
}

TEST(Grpc, AnswersSettingsAndPings) {
  Handler handler;
  handler.service = std::string(300, 's');
  const auto dialogue = grpc_dialogue(handler, "h:1");
  EXPECT_THAT(dialogue->opening(), testing::StartsWith("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  std::string reply;
  dialogue->take(frame(4, 0, 0, "") + frame(6, 0, 0, "12345678"), reply);
  EXPECT_EQ(reply, frame(4, 1, 0, "") + frame(6, 1, 0, "12345678"));
}

}  // namespace
}  // namespace wherry::runtime
