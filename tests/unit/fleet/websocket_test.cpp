// The client's side of a WebSocket, without a network; and what holds for any server at all.

#include "agent/fleet/websocket.h"

#include <filesystem>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/fuzz/websocket_invariants.h"

namespace wherry {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

// The example of RFC 6455, section 1.3.
constexpr const char* kKey = "dGhlIHNhbXBsZSBub25jZQ==";
const std::string kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

std::string answer(const std::string& accept, const std::string& more = "") {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "sec-websocket-accept: " +
         accept + "\r\n" + more + "\r\n";
}

class WebSocketTest : public ::testing::Test {
 protected:
  std::string receive(const std::string& bytes) {
    const Status read = socket_.receive(bytes, payload_);
    return read ? "" : std::string(read.error().reason());
  }
  // What goes to the server, unmasked: opcode and payload of its one short frame.
  std::string sent() {
    std::string bytes = std::exchange(socket_.outgoing(), "");
    if (bytes.size() < 6) return "";
    EXPECT_EQ(bytes[1] & 0x80, 0x80) << "a client masks (RFC 6455, 5.3)";
    std::string plain(1, bytes[0]);
    for (size_t i = 6; i < bytes.size(); ++i) {
      plain += static_cast<char>(bytes[i] ^ bytes[2 + (i - 6) % 4]);
    }
    return plain;
  }

  WebSocket socket_{"broker:8080", "/mqtt", kKey};
  std::string payload_;
};

TEST_F(WebSocketTest, AsksForMqtt) {
  EXPECT_THAT(socket_.outgoing(), HasSubstr("GET /mqtt HTTP/1.1\r\nHost: broker:8080\r\n"));
  EXPECT_THAT(socket_.outgoing(), HasSubstr("Sec-WebSocket-Protocol: mqtt\r\n"));
  EXPECT_THAT(socket_.outgoing(), HasSubstr("Sec-WebSocket-Key: "s + kKey + "\r\n"));
}

TEST_F(WebSocketTest, IsOpenOnceTheServerHasAgreed) {
  const std::string all = answer(kAccept, "Sec-WebSocket-Protocol: mqtt\r\n");
  EXPECT_EQ(receive(all.substr(0, 40)), "");
  EXPECT_FALSE(socket_.open());
  EXPECT_EQ(receive(all.substr(40) + "\x82\x02\x20\x02"), "");
  EXPECT_TRUE(socket_.open());
  EXPECT_EQ(payload_, "\x20\x02") << "what came in the same breath";
  socket_.outgoing().clear();
  EXPECT_TRUE(socket_.send("\xe0\x00"s));
  EXPECT_EQ(sent(), "\x82\xe0\x00"s);
}

TEST_F(WebSocketTest, MessagesMayComeInFragmentsWithPingsBetween) {
  ASSERT_EQ(receive(answer(kAccept)), "");
  socket_.outgoing().clear();
  EXPECT_EQ(receive("\x02\x02"
                    "ab"
                    "\x89\x03"
                    "you"
                    "\x80\x02"
                    "cd"s),
            "");
  EXPECT_EQ(payload_, "abcd");
  EXPECT_EQ(sent(), "\x8ayou") << "the pong";
}

TEST_F(WebSocketTest, RefusalsHaveTheirReasons) {
  const std::pair<std::string, std::string> cases[] = {
      {"HTTP/1.1 404 Not Found\r\n\r\n", "WebSocketRefused"},
      {"HTTP/1.1 401 Unauthorized\r\n\r\n", "NotAuthorized"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "ProtocolError"},
      {answer("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "ProtocolError"},
      {answer(kAccept, "Sec-WebSocket-Protocol: chat\r\n"), "ProtocolError"},
      {"HTTP/1.1 101 x\r\nX: " + std::string(20'000, 'x'), "ProtocolError"},
      {answer(kAccept) + "\x81\x02hi", "ProtocolError"},
      {answer(kAccept) + "\x82\x82hihihi", "ProtocolError"},
      {answer(kAccept) + "\x88\x02\x03\xe9", "ConnectionLost"}};
  for (const auto& [bytes, reason] : cases) {
    WebSocket socket("broker", "/mqtt", kKey);
    const Status read = socket.receive(bytes, payload_);
    ASSERT_FALSE(read) << bytes.substr(0, 100);
    EXPECT_EQ(read.error().reason(), reason) << read.error().full();
  }
}

TEST_F(WebSocketTest, TakesLeave) {
  ASSERT_EQ(receive(answer(kAccept)), "");
  socket_.outgoing().clear();
  socket_.close();
  EXPECT_EQ(sent(), "\x88\x03\xe8") << "1000: normal";
  const Status late = socket_.send("\xe0\x00"s);
  ASSERT_FALSE(late) << "nothing may follow a close (RFC 6455, 5.5.1)";
  EXPECT_EQ(late.error().reason(), "ConnectionLost");
}

TEST(WebSocketAnswers, KeepTheInvariants) {
  std::mt19937 random(20261127);
  size_t seeds = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(WHERRY_SOURCE_DIR "/tests/fuzz/websocket_corpus")) {
    const std::string text = read_file(entry.path()).value();
    ++seeds;
    for (size_t end = 0; end <= text.size(); ++end) {
      ASSERT_EQ(broken_websocket(text.substr(0, end)), "") << entry.path() << " cut at " << end;
    }
    for (int round = 0; round < 200; ++round) {
      std::string changed = text;
      for (int i = 0; i < 1 + round % 4; ++i) {
        changed[random() % changed.size()] = static_cast<char>(random());
      }
      ASSERT_EQ(broken_websocket(changed), "") << entry.path() << " round " << round;
    }
  }
  EXPECT_GE(seeds, 5U);
}

}  // namespace
}  // namespace wherry
