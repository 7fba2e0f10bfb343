#include "agent/fleet/broker_url.h"

#include <gtest/gtest.h>

namespace wherry {
namespace {

void expect_url(const char* text, const char* host, int port, bool tls) {
  const auto url = parse_broker_url(text);
  ASSERT_TRUE(url) << text << ": " << url.error().full();
  EXPECT_EQ(url->host, host) << text;
  EXPECT_EQ(url->port, port) << text;
  EXPECT_EQ(url->tls, tls) << text;
}

TEST(BrokerUrlTest, Good) {
  expect_url("mqtt://127.0.0.1:1883", "127.0.0.1", 1883, false);
  expect_url("mqtt://broker.example", "broker.example", 1883, false);
  expect_url("mqtts://broker.example/", "broker.example", 8883, true);
  expect_url("mqtts://broker:443", "broker", 443, true);
  expect_url("mqtt://[::1]", "::1", 1883, false);
  expect_url("mqtt://[fe80::1%eth0]:2000", "fe80::1%eth0", 2000, false);
}

TEST(BrokerUrlTest, BadOnesSayWhatIsWrong) {
  for (const auto& [text, what] : {std::pair{"", "no scheme"},
                                   {"127.0.0.1:1883", "no scheme"},
                                   {"http://x", "unknown scheme"},
                                   {"mqtt://", "no host"},
                                   {"mqtt://:1883", "no host"},
                                   {"mqtt://a:0", "valid port"},
                                   {"mqtt://a:65536", "valid port"},
                                   {"mqtt://a:18x", "valid port"},
                                   {"mqtt://a:", "valid port"},
                                   {"mqtt://[::1", "bracket"},
                                   {"mqtt://[::1]1883", "valid port"},
                                   {"mqtt://::1", "brackets"},
                                   {"mqtt://u:p@a", "credentials"},
                                   {"mqtt://a/path", "path"},
                                   {"ws://a?b", "query"},
                                   {"ws://a/b?c=d", "path"},
                                   {"ws://a/b c", "path"}}) {
    const auto url = parse_broker_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code(), Code::InvalidArgument) << text;
    EXPECT_EQ(url.error().reason(), "InvalidBroker") << text;
    EXPECT_NE(url.error().message().find(what), std::string::npos) << url.error().message();
  }
}

TEST(BrokerUrlTest, APasswordInABadOneIsNotRepeated) {
  for (const char* text :
       {"mqtt://u:hunter2@a", "http://u:hunter2@a", "u:hunter2@a", "mqtt://u:x@hunter2@a",
        "mqtt://u:hunter2/@a", "ws://a/b?token=hunter2", "wss://a?hunter2"}) {
    const auto url = parse_broker_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().full().find("hunter2"), std::string::npos) << url.error().full();
  }
}

TEST(BrokerUrlTest, WebSocketsHaveAPath) {
  const std::tuple<const char*, int, bool, const char*> cases[] = {
      {"ws://a", 80, false, "/mqtt"},
      {"wss://a", 443, true, "/mqtt"},
      {"wss://a:8443/", 8443, true, "/"},
      {"ws://[::1]:9001/b-c/d.e", 9001, false, "/b-c/d.e"}};
  for (const auto& [text, port, tls, path] : cases) {
    const auto url = parse_broker_url(text);
    ASSERT_TRUE(url) << url.error().full();
    EXPECT_TRUE(url->websocket);
    EXPECT_EQ(url->port, port);
    EXPECT_EQ(url->tls, tls);
    EXPECT_EQ(url->path, path);
  }
  EXPECT_EQ(parse_broker_url("mqtts://a")->path, "");
  EXPECT_FALSE(parse_broker_url("mqtts://a")->websocket);
}

}  // namespace
}  // namespace wherry
