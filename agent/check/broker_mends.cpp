#include "agent/check/broker_mends.h"

#include <map>

namespace wherry::check {

std::string_view broker_mend(std::string_view reason) {
  constexpr std::string_view kOwnFile = "put a file in PEM there, or correct the setting";
  constexpr std::string_view kClientCertificate =
      "renew mqtt.cert_file; where it is new, look at the broker's authorities and clock";
  constexpr std::string_view kMode =
      "chmod or chown it as said, and change the secret where others may have read it";
  constexpr std::string_view kAccess =
      "see mqtt.username and mqtt.password_file, and the broker's access rules";
  constexpr std::string_view kOneId =
      "give each device an id of its own: device.id, mqtt.client_id, /etc/machine-id";
  constexpr std::string_view kBrokersLog = "see the broker's log; it is tried again";
  static const std::map<std::string_view, std::string_view> kMends{
      {"Connecting", "look again in a moment"},
      {"Stopped", "look again when the agent runs"},
      {"NoBroker", "set mqtt.brokers"},
      {"InvalidBroker", "correct mqtt.brokers"},
      {"ConnectionRefused", "start the broker, or correct its address and port in mqtt.brokers"},
      {"NetworkUnreachable", "see the device's network: ip route, the cable, the modem"},
      {"Timeout", "see whether the broker is up and a firewall between lets this port through"},
      {"DnsLookupFailed", "see what is said of dns, or correct mqtt.brokers"},
      {"BrokerCertificateExpired",
       "renew the broker's certificate; or set the device's clock, if it is that which is wrong"},
      {"BrokerCertificateNotYetValid",
       "set the device's clock (NTP); where it is right, issue the broker's certificate anew"},
      {"BrokerCertificateUntrusted",
       "set mqtt.ca_file to the certificate of the authority that signed the broker's"},
      {"BrokerNameMismatch",
       "write the broker in mqtt.brokers as its certificate names it, or issue another one for it"},
      {"ClientCertificateRequired", "set mqtt.cert_file and mqtt.key_file"},
      {"ClientCertificateExpired", kClientCertificate},
      {"ClientCertificateRevoked", kClientCertificate},
      {"ClientCertificateRejected", kClientCertificate},
      {"CertificateFileUnreadable", kOwnFile},
      {"CaFileUnreadable", kOwnFile},
      {"KeyFileUnreadable", kOwnFile},
      {"CertificateExpiring", "renew it; the new file is read without a restart"},
      {"CertificateExpired", "renew it; or set the device's clock, if it is that which is wrong"},
      {"CertificateNotYetValid",
       "set the device's clock (NTP); where it is right, issue the certificate anew"},
      {"KeyMismatch", "put the key there that the certificate was issued for"},
      {"KeyFileInsecure", kMode},
      {"PasswordFileInsecure", kMode},
      {"TokenUnavailable", "see whether the token is there, and p11-kit list-modules"},
      {"TokenPinRefused", "put the right PIN into the file that pin-source names"},
      {"TlsVersionUnsupported", "let the broker speak TLS 1.2 or 1.3"},
      {"AlpnRefused", "set mqtt.alpn to what the broker expects"},
      {"TlsError", "see whether this port of the broker speaks TLS (mqtts), 1.2 or newer"},
      {"WebSocketRefused", "see the path in mqtt.brokers, and the web server on the way"},
      {"NotAuthorized", kAccess},
      {"BadUserNameOrPassword", kAccess},
      {"PasswordFileUnreadable", "put the file there, or correct mqtt.password_file"},
      {"PublishRefused",
       "let the broker's access rules allow what it refuses; they may go by the certificate's "
       "name"},
      {"SubscriptionRefused", "let the broker's access rules allow what it refuses"},
      {"ClientIdRejected", kOneId},
      {"SessionTakenOver", kOneId},
      {"Unanswered",
       "look in the broker's log, access rules and plugins for the topic that the message names"},
      {"ConnectionLost",
       "see the device's network, and the broker's log: access rules, a limit, one client id "
       "twice"},
      {"PacketTooLarge", "raise the broker's limit, or make documents smaller"},
      {"ProtocolError", "see whether it is a broker that listens there, and mqtt:// or mqtts://"},
      {"UnsupportedProtocolVersion", "set mqtt.version: 3.1.1"},
      {"BrokerUnavailable", kBrokersLog},
      {"BrokerShuttingDown", kBrokersLog},
      {"BrokerMoved", "correct mqtt.brokers"},
      {"ConnectionRejected", kBrokersLog},
      {"ConnectionFailed", kBrokersLog},
      {"OutOfMemory", "free memory: systemctl status wherryd, and free -m"}};
  const auto found = kMends.find(reason);
  return found == kMends.end() ? "" : found->second;
}

}  // namespace wherry::check
