#include "agent/fleet/payloads.h"

#include <cerrno>
#include <mosquitto.h>

#include <gtest/gtest.h>

#include "agent/fleet/mqtt_errors.h"

namespace wherry {
namespace {

TEST(PayloadsTest, Presence) {
  const WallTime at{std::chrono::seconds(1'790'000'000)};
  EXPECT_EQ(presence_payload(true, at, "b-1"),
            R"({"state":"online","at":"2026-09-21T14:13:20.000Z","boot":"b-1"})");
  EXPECT_EQ(presence_payload(false, at, "\xff"),
            "{\"state\":\"offline\",\"at\":\"2026-09-21T14:13:20.000Z\",\"boot\":\"\uFFFD\"}");
}

TEST(PayloadsTest, ErrorResponse) {
  EXPECT_EQ(error_response("Unimplemented", "not \"yet\""),
            R"({"ok":false,"error":{"code":"Unimplemented","message":"not \"yet\""}})");
}

TEST(MqttErrorsTest, ReasonsAreOneWord) {
  EXPECT_EQ(socket_error(ECONNREFUSED).reason(), "ConnectionRefused");
  EXPECT_EQ(socket_error(EHOSTUNREACH).reason(), "NetworkUnreachable");
  EXPECT_EQ(connack_error(4).reason(), "BadUserNameOrPassword");
  EXPECT_EQ(connack_error(5).reason(), "NotAuthorized");
  EXPECT_EQ(connack_error(0x84).reason(), "UnsupportedProtocolVersion");
  EXPECT_EQ(connack_error(0x86).reason(), "BadUserNameOrPassword");
  EXPECT_EQ(connack_error(0x87).reason(), "NotAuthorized");
  EXPECT_EQ(connack_error(0x97).reason(), "BrokerUnavailable");
  EXPECT_EQ(connack_error(0xff).reason(), "ConnectionRejected");
  EXPECT_EQ(disconnect_error(0x8e).reason(), "SessionTakenOver");
  EXPECT_EQ(disconnect_error(0x8b).reason(), "BrokerShuttingDown");
  EXPECT_FALSE(has_hung_up(disconnect_error(0x8b)));
  EXPECT_FALSE(has_hung_up(socket_error(ETIMEDOUT)));
  EXPECT_FALSE(has_hung_up(library_error(MOSQ_ERR_KEEPALIVE, 0)));
  EXPECT_TRUE(has_hung_up(socket_error(ECONNRESET)));
  EXPECT_TRUE(has_hung_up(library_error(MOSQ_ERR_CONN_LOST, 0)));
  EXPECT_TRUE(has_hung_up(disconnect_error(0x95))) << "packet too large";
}

}  // namespace
}  // namespace wherry
