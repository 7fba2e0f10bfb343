// The way to the brokers, and the certificates for it: judged by the link's own code, in its words.
#include <algorithm>
#include <functional>
#include <future>

#include "agent/check/broker_mends.h"
#include "agent/check/probes.h"
#include "agent/check/reach.h"
#include "agent/fleet/certificate_watch.h"

namespace wherry::check {
namespace {

constexpr const char* kBroker = "broker";
constexpr const char* kCertificate = "certificate";
// Beside each other, so that the whole look ends in time.
constexpr Duration kReachWithin = std::chrono::seconds(8);

std::string mend_for(std::string_view reason) {
  const std::string_view mend = broker_mend(reason);
  return std::string(mend.empty() ? "see the broker's log" : mend);
}

std::string words_of(const Error& error) {
  return std::string(error.reason()) + ": " + error.full();
}

const ConditionView* link_of(const Scene& scene) {
  if (!scene.knowledge) return nullptr;
  const auto& conditions = scene.knowledge->state->conditions;
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [](const auto& each) { return each.type == "BrokerConnected"; });
  return found == conditions.end() ? nullptr : &*found;
}

// A key in a token stays with the link: each PIN that is wrong brings the token nearer to its lock.
TlsOptions tls_options(const Config::Mqtt& mqtt) {
  if (is_pkcs11_uri(mqtt.key_file)) return {mqtt.ca_file, "", "", mqtt.alpn};
  return {mqtt.ca_file, mqtt.cert_file, mqtt.key_file, mqtt.alpn};
}

Finding describe(const std::string& broker, const Reached& reached) {
  const std::string seen = "reached at " + reached.address;
  if (!reached.peer) return ok(kBroker, broker, seen + ", without TLS");
  const std::string until = to_rfc3339(reached.peer->not_after).substr(0, 10);
  const std::string all =
      seen + " by " + reached.peer->protocol + ", its certificate is good until " + until;
  const CertificateStatus judged = judge_validity(
      {"", "", "", reached.peer->not_before, reached.peer->not_after}, SystemClock().wall());
  if (judged.reason.empty()) return ok(kBroker, broker, all);
  return warn(kBroker, broker, all, "renew the broker's certificate");
}

Finding look_at_broker(const Scene& scene, const std::string& broker, bool others_do) {
  const auto url = parse_broker_url(broker);
  if (!url) return failed(kBroker, broker, words_of(url.error()), mend_for("InvalidBroker"));
  const Config::Mqtt& mqtt = scene.config().mqtt;
  const auto reached = reach(*url, tls_options(mqtt), kReachWithin, scene.cancel);
  if (reached) return describe(broker, *reached);
  const Error& error = reached.error();
  if (is_pkcs11_uri(mqtt.key_file) && error.reason() == "ClientCertificateRequired") {
    return ok(kBroker, broker,
              "it answers and wants this device's certificate, whose key is in a token that only "
              "the link asks: what is said of link counts");
  }
  return others_do ? warn(kBroker, broker, words_of(error), mend_for(error.reason()))
                   : failed(kBroker, broker, words_of(error), mend_for(error.reason()));
}

Finding look_at_link(const ConditionView& link) {
  if (link.status && link.reason.empty()) {
    return ok(kBroker, "link", "connected since " + to_rfc3339(link.since));
  }
  const std::string seen = link.reason + ": " + link.message;
  const std::string mend = mend_for(link.reason);
  if (link.status || link.reason == "Connecting") return warn(kBroker, "link", seen, mend);
  return failed(kBroker, "link", "not connected: " + seen, mend);
}

Finding look_at_file(const std::string& path, const TlsOptions& only) {
  const auto status = CertificateWatch(only).status(SystemClock().wall());
  if (!status || status->reason.empty()) {
    return ok(kCertificate, path, status ? status->message : "nothing is wrong with it");
  }
  const std::string seen = status->reason + ": " + status->message;
  return status->valid ? warn(kCertificate, path, seen, mend_for(status->reason))
                       : failed(kCertificate, path, seen, mend_for(status->reason));
}

}  // namespace

Findings look_at_brokers(const Scene& scene) {
  const std::vector<std::string>& brokers = scene.config().mqtt.brokers;
  if (brokers.empty()) {
    return {warn(kBroker, "", "there is none: only local manifests and orders count",
                 "set mqtt.brokers, where a fleet is to manage this device")};
  }
  Findings findings;
  const ConditionView* const link = link_of(scene);
  const bool connected = link != nullptr && link->status;
  if (link != nullptr) findings.push_back(look_at_link(*link));
  std::vector<std::future<Finding>> looks;
  for (const std::string& broker : brokers) {
    looks.push_back(
        std::async(std::launch::async, look_at_broker, std::cref(scene), broker, connected));
  }
  for (auto& each : looks) findings.push_back(each.get());
  return findings;
}

Findings look_at_certificates(const Scene& scene) {
  const Config::Mqtt& mqtt = scene.config().mqtt;
  Findings findings;
  if (!mqtt.ca_file.empty()) {
    findings.push_back(look_at_file(mqtt.ca_file, {mqtt.ca_file, "", "", ""}));
  }
  if (mqtt.cert_file.empty()) return findings;
  findings.push_back(look_at_file(mqtt.cert_file, {"", mqtt.cert_file, "", ""}));
  if (findings.back().level == Level::Fail || is_pkcs11_uri(mqtt.key_file)) return findings;
  ClientKeys keys;
  const auto pair = TlsStream::make({"", mqtt.cert_file, mqtt.key_file, ""}, keys, "localhost",
                                    SystemClock().wall());
  if (!pair) {
    findings.push_back(failed(kCertificate, mqtt.key_file, words_of(pair.error()),
                              mend_for(pair.error().reason())));
  }
  return findings;
}

}  // namespace wherry::check
