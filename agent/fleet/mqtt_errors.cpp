#include "agent/fleet/mqtt_errors.h"

#include <cerrno>
#include <cstring>
#include <mosquitto.h>
#include <netdb.h>

#include <mqtt_protocol.h>

namespace wherry {
namespace {

Error refused(const char* reason, const char* message) {
  return {Code::PermissionDenied, message, reason};
}
Error unavailable(const char* reason, std::string message) {
  return {Code::Unavailable, std::move(message), reason};
}

const char* const kBadCredentials =
    "the broker refuses the user name or password; check mqtt.username and mqtt.password_file";
const char* const kNotAuthorized =
    "the broker does not authorize this device; check mqtt.username, mqtt.password_file and the "
    "broker's access rules";
const char* const kBadVersion = "the broker does not speak this MQTT version; set mqtt.version";
const char* const kBadClientId = "the broker refuses the client id; check mqtt.client_id";

}  // namespace

Error socket_error(int number) {
  const std::string text = std::strerror(number);
  switch (number) {
    case ECONNREFUSED:
      return unavailable("ConnectionRefused", "nothing listens at the broker's address and port");
    case ETIMEDOUT:
      return unavailable("Timeout", "the broker does not answer: " + text);
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
      return unavailable("NetworkUnreachable", "there is no way to the broker: " + text);
    case ECONNRESET:
    case EPIPE:
      return unavailable("ConnectionLost", "the broker closed the connection: " + text);
    default:
      return unavailable("ConnectionFailed", "the connection to the broker failed: " + text);
  }
}

Error lookup_error(int code) {
  return unavailable("DnsLookupFailed",
                     std::string("the broker's name cannot be resolved: ") + gai_strerror(code));
}

Error library_error(int code, int saved_errno) {
  switch (code) {
    case MOSQ_ERR_EAI:
      return lookup_error(saved_errno);
    case MOSQ_ERR_ERRNO:
      return socket_error(saved_errno);
    case MOSQ_ERR_CONN_LOST:
      return unavailable("ConnectionLost", "the broker closed the connection");
    case MOSQ_ERR_KEEPALIVE:
      return unavailable("Timeout", "the broker stopped answering pings");
    case MOSQ_ERR_PROTOCOL:
    case MOSQ_ERR_MALFORMED_PACKET:
    case MOSQ_ERR_MALFORMED_UTF8:
    case MOSQ_ERR_DUPLICATE_PROPERTY:
      return unavailable("ProtocolError", "what answers at the broker's port does not speak MQTT");
    case MOSQ_ERR_PAYLOAD_SIZE:
    case MOSQ_ERR_OVERSIZE_PACKET:
      return {Code::ResourceExhausted, "the message is larger than the broker takes",
              kMessageTooLarge};
    case MOSQ_ERR_NOMEM:
      return {Code::ResourceExhausted, "out of memory", "OutOfMemory"};
    default:
      return unavailable("ConnectionFailed", std::string("the connection to the broker failed: ") +
                                                 mosquitto_strerror(code));
  }
}

Error silent_error(int first_byte) {
  constexpr int kTlsAlert = 0x15;  // RFC 8446, 5.1
  if (first_byte == kTlsAlert) {
    return unavailable(
        "ProtocolError",
        "what answers at the broker's port speaks TLS: write mqtts:// (or wss://) in "
        "mqtt.brokers");
  }
  if (first_byte >= 0) return library_error(MOSQ_ERR_PROTOCOL, 0);
  return unavailable("ConnectionLost",
                     "the broker closed the connection without an answer, as ports do that want "
                     "TLS: if so, write mqtts:// (or wss://) in mqtt.brokers");
}

Error connack_error(int code) {
  switch (code) {
    case CONNACK_REFUSED_PROTOCOL_VERSION:
    case MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION:
      return refused("UnsupportedProtocolVersion", kBadVersion);
    case CONNACK_REFUSED_IDENTIFIER_REJECTED:
    case MQTT_RC_CLIENTID_NOT_VALID:
      return refused("ClientIdRejected", kBadClientId);
    case CONNACK_REFUSED_BAD_USERNAME_PASSWORD:
    case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
      return refused("BadUserNameOrPassword", kBadCredentials);
    case CONNACK_REFUSED_NOT_AUTHORIZED:
    case MQTT_RC_NOT_AUTHORIZED:
    case MQTT_RC_BANNED:
      return refused("NotAuthorized", kNotAuthorized);
    case CONNACK_REFUSED_SERVER_UNAVAILABLE:
    case MQTT_RC_SERVER_UNAVAILABLE:
    case MQTT_RC_SERVER_BUSY:
    case MQTT_RC_QUOTA_EXCEEDED:
    case MQTT_RC_CONNECTION_RATE_EXCEEDED:
      return unavailable("BrokerUnavailable", "the broker says it cannot serve now");
    case MQTT_RC_USE_ANOTHER_SERVER:
    case MQTT_RC_SERVER_MOVED:
      return unavailable("BrokerMoved", "the broker says to use another one; check mqtt.brokers");
    case MQTT_RC_MALFORMED_PACKET:
    case MQTT_RC_PROTOCOL_ERROR:
      return unavailable("ProtocolError", "the broker calls our CONNECT a protocol error");
    default:
      return unavailable("ConnectionRejected", std::string("the broker refuses the connection: ") +
                                                   mosquitto_reason_string(code));
  }
}

Error disconnect_error(int code) {
  switch (code) {
    case MQTT_RC_SESSION_TAKEN_OVER:
      return unavailable("SessionTakenOver",
                         "another client connected with the same client id; ids must be unique");
    case MQTT_RC_SERVER_SHUTTING_DOWN:
      return unavailable("BrokerShuttingDown", "the broker is shutting down");
    case MQTT_RC_NOT_AUTHORIZED:
      return refused("NotAuthorized", kNotAuthorized);
    case MQTT_RC_PACKET_TOO_LARGE:
      return unavailable("PacketTooLarge", "the broker refuses messages of this size");
    default:
      return unavailable("ConnectionLost", std::string("the broker ended the connection: ") +
                                               mosquitto_reason_string(code));
  }
}

bool has_hung_up(const Error& error) {
  return error.reason() == "ConnectionLost" || error.reason() == "PacketTooLarge";
}

}  // namespace wherry
