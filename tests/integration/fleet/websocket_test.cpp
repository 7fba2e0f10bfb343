// ws and wss: MQTT through a WebSocket server of somebody else's, in front of a real broker.

#include <algorithm>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/fleet/link_fixture.h"
#include "tests/integration/fleet/raw_server.h"
#include "tests/support/certificates.h"
#include "tests/support/mosquitto_broker.h"
#include "tests/support/mqtt_client.h"
#include "tests/support/net.h"

namespace wherry::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kGateway = WHERRY_SOURCE_DIR "/tests/integration/fleet/websocket_gateway.py";

class Gateway {
 public:
  Gateway(int broker, const Certificate* certificate) {
    ProcessOptions options;
    options.argv = {"/usr/bin/python3", kGateway, std::to_string(port_), std::to_string(broker)};
    if (certificate != nullptr) {
      options.argv.insert(options.argv.end(), {certificate->certificate, certificate->key});
    }
    process_ = std::make_unique<Process>(std::move(options));
    const bool serves = wait_until([&] { return accepts_tcp(port_) || !process_->running(); });
    if (!serves || !process_->running()) throw std::runtime_error(process_->output());
  }
  std::string url(const std::string& scheme, const std::string& path = "") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_) + path;
  }
  std::string output() const { return process_->output(); }
  void kill() { process_->kill(); }

 private:
  int port_ = free_port();
  std::unique_ptr<Process> process_;
};

class WebSocketPeers : public ::testing::Test {
 protected:
  WebSocketPeers() : server_(authority_.issue("127.0.0.1")) {}
  FleetOptions options(const std::string& url, int version = 5) const {
    FleetOptions options = link_options({url}, version);
    options.ca_file = authority_.certificate();
    return options;
  }

  bool said(const std::string& text) const { return broker_.log().find(text) != std::string::npos; }

  CertificateAuthority authority_;
  Certificate server_;
  MosquittoBroker broker_;
};

class WebSocketTest : public WebSocketPeers, public ::testing::WithParamInterface<bool> {
 protected:
  Gateway gateway() const { return Gateway(broker_.port(), GetParam() ? &server_ : nullptr); }
  static std::string scheme() { return GetParam() ? "wss" : "ws"; }
};

INSTANTIATE_TEST_SUITE_P(PlainAndTls, WebSocketTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Wss" : "Ws"; });

TEST_P(WebSocketTest, CarriesLargeMessagesBothWays) {
  const Gateway gateway = this->gateway();
  MqttClient manager(broker_.port());
  manager.subscribe("wherry/v1/devices/dev-1/#");
  const std::string large(1u << 20, 'd');
  manager.publish_retained("wherry/v1/devices/dev-1/desired", large);
  for (const int version : {5, 4}) {
    TestLink link(options(gateway.url(scheme()), version));
    ASSERT_TRUE(link.wait_desired("devices/dev-1", large)) << link->status().message;
    const std::string reported = std::to_string(version) + std::string(1u << 20, 'r');
    link->publish_reported(reported);
    EXPECT_TRUE(manager.wait_for([&](const auto& m) { return m.payload == reported; }));
    link->stop(std::chrono::seconds(20));
    EXPECT_TRUE(wait_until([&] { return said("Received DISCONNECT from dev-1"); }));
  }
}

TEST_P(WebSocketTest, ComesBackWhenTheServerDoes) {
  Gateway first = gateway();
  const Gateway second = gateway();
  FleetOptions both = options(first.url(scheme()));
  both.brokers.push_back(second.url(scheme(), "/mqtt"));
  TestLink link(both);
  ASSERT_TRUE(link.wait_connected()) << link->status().message;
  first.kill();
  EXPECT_TRUE(wait_until([&] { return link->status().broker == both.brokers[1]; }));
  EXPECT_TRUE(link.wait_connected()) << link->status().message;
  const auto statuses = link.statuses();
  EXPECT_TRUE(std::any_of(statuses.begin(), statuses.end(), [](const LinkStatus& status) {
    return status.reason == "ConnectionLost";
  }));
}

TEST_P(WebSocketTest, TheServersRefusalIsNamed) {
  const Gateway gateway = this->gateway();
  {
    TestLink link(options(gateway.url(scheme(), "/elsewhere")));
    EXPECT_TRUE(link.wait_reason("WebSocketRefused")) << link->status().message;
    EXPECT_THAT(link->status().message, HasSubstr("404"));
  }
  TestLink link(options(gateway.url(scheme(), "/private")));
  EXPECT_TRUE(link.wait_reason("NotAuthorized")) << link->status().message;
  EXPECT_THAT(link->status().message, HasSubstr("403"));
}

TEST_P(WebSocketTest, TheBrokersOwnRefusalIsNamedAsElsewhere) {
  const MosquittoBroker strict({.username = "device", .password = "right"});
  const Gateway gateway(strict.port(), GetParam() ? &server_ : nullptr);
  TestLink link(options(gateway.url(scheme())));
  EXPECT_TRUE(link.wait_reason("NotAuthorized")) << link->status().reason;
}

TEST_F(WebSocketPeers, WhatIsNoWebSocketIsAProtocolError) {
  const RawServer web("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
  const RawServer unaware("HTTP/1.1 101 Switching Protocols\r\n\r\n", false);
  const RawServer other("\x20\x02\x01\x05", false);
  for (const auto& [server, reason] : {std::pair{&web, "WebSocketRefused"},
                                       {&unaware, "ProtocolError"},
                                       {&other, "ProtocolError"}}) {
    TestLink link(link_options({server->url("ws")}));
    EXPECT_TRUE(link.wait_reason(reason)) << link->status().message;
  }
}

TEST_F(WebSocketPeers, TheServersCertificateIsChecked) {
  const Gateway gateway(broker_.port(), &server_);
  FleetOptions strange = options(gateway.url("wss"));
  CertificateAuthority foreign("Another authority");
  strange.ca_file = foreign.certificate();
  TestLink link(strange);
  EXPECT_TRUE(link.wait_reason("BrokerCertificateUntrusted")) << link->status().message;
}

}  // namespace
}  // namespace wherry::test
