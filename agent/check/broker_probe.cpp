// The way to the brokers, and the certificates for it.
#include <algorithm>
#include <functional>
#include <future>
#include <map>

#include "agent/check/certificates.h"
#include "agent/check/probes.h"
#include "agent/check/reach.h"
#include "agent/fleet/certificate_watch.h"

namespace wherry::check {
namespace {

constexpr const char* kBroker = "broker";
constexpr const char* kCertificate = "certificate";
// Beside each other, so that the whole look ends in time.
constexpr Duration kReachWithin = std::chrono::seconds(8);

std::string day_of(WallTime time) { return to_rfc3339(time).substr(0, 10); }

const ConditionView* link_of(const Scene& scene) {
  if (!scene.knowledge) return nullptr;
  const auto& conditions = scene.knowledge->state->conditions;
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [](const auto& each) { return each.type == "BrokerConnected"; });
  return found == conditions.end() ? nullptr : &*found;
}

std::string mend_for(const Error& error) {
  static const std::map<std::string_view, const char*> kMends{
      {"DnsLookupFailed", "see what is said of dns, or correct mqtt.brokers"},
      {"ConnectionRefused", "start the broker, or correct its port in mqtt.brokers"},
      {"Timeout", "see whether the broker is up and a firewall between lets this port through"},
      {"NetworkUnreachable", "see the device's network: ip route, the cable, the modem"},
      {"CertificateExpired",
       "renew the broker's certificate; or set the device's clock, if it is that which is wrong"},
      {"UnknownAuthority",
       "set mqtt.ca_file to the certificate of the authority that signed the broker's"},
      {"WrongName",
       "write the broker in mqtt.brokers as its certificate names it, or issue another one for it"},
      {"ClientRefused",
       "see mqtt.cert_file and mqtt.key_file: not expired, and of an authority that the broker "
       "trusts"},
      {"TlsError", "see whether this port of the broker speaks TLS (mqtts), 1.2 or newer"}};
  const auto found = kMends.find(error.reason());
  return found == kMends.end() ? "see the broker's log" : found->second;
}

Finding look_at_broker(const Scene& scene, const std::string& broker, bool others_do) {
  const auto url = parse_broker_url(broker);
  if (!url) {
    return failed(kBroker, broker, url.error().full(), "correct mqtt.brokers");
  }
  const Config::Mqtt& mqtt = scene.config().mqtt;
  const auto reached =
      reach(*url, {mqtt.ca_file, mqtt.cert_file, mqtt.key_file}, kReachWithin, scene.cancel);
  if (!reached) {
    const std::string seen = std::string(reached.error().reason()) + ": " + reached.error().full();
    return others_do ? warn(kBroker, broker, seen, mend_for(reached.error()))
                     : failed(kBroker, broker, seen, mend_for(reached.error()));
  }
  std::string seen = "reached at " + reached->address;
  if (!url->tls) return ok(kBroker, broker, seen + ", without TLS");
  seen += " by " + reached->protocol;
  if (!reached->certificate) return ok(kBroker, broker, seen);
  const CertificateFacts& certificate = *reached->certificate;
  seen += ", its certificate is good until " + day_of(certificate.not_after);
  if (!ends_soon(certificate.not_before, certificate.not_after, SystemClock().wall())) {
    return ok(kBroker, broker, seen);
  }
  return warn(kBroker, broker, seen, "renew the broker's certificate");
}

Finding look_at_link(const ConditionView& link) {
  if (link.status && link.reason.empty()) {
    return ok(kBroker, "link", "connected since " + to_rfc3339(link.since));
  }
  const std::string seen = link.reason + ": " + link.message;
  const char* const mend = "docs/troubleshooting.md has what to do for each of these words";
  if (link.status || link.reason == "Connecting") return warn(kBroker, "link", seen, mend);
  return failed(kBroker, "link", "not connected: " + seen, mend);
}

// `authorities`: of several, one that is good is enough.
Finding look_at_file(const std::string& key, const std::string& path, bool authorities) {
  const auto all = read_certificates(path);
  if (!all) {
    return failed(kCertificate, path, key + ": " + all.error().full(),
                  "put a certificate in PEM there, or correct " + key);
  }
  const auto ends_first = [](const auto& a, const auto& b) { return a.not_after < b.not_after; };
  const CertificateFacts& one = authorities
                                    ? *std::max_element(all->begin(), all->end(), ends_first)
                                    : *std::min_element(all->begin(), all->end(), ends_first);
  const WallTime now = SystemClock().wall();
  const std::string until =
      one.subject + " is good from " + day_of(one.not_before) + " until " + day_of(one.not_after);
  const std::string clock = "; or set the device's clock, which says " + day_of(now);
  if (one.not_after <= now) {
    return failed(kCertificate, path, "expired: " + until, "renew it" + clock);
  }
  if (one.not_before > now) {
    return failed(kCertificate, path, "not good yet: " + until, "issue it anew" + clock);
  }
  if (ends_soon(one.not_before, one.not_after, now)) {
    return warn(kCertificate, path, "ends soon: " + until, "renew it");
  }
  return ok(kCertificate, path, until);
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
  if (mqtt.ca_file.starts_with('/')) {
    findings.push_back(look_at_file("mqtt.ca_file", mqtt.ca_file, true));
  }
  if (!mqtt.cert_file.starts_with('/')) return findings;
  findings.push_back(look_at_file("mqtt.cert_file", mqtt.cert_file, false));
  if (findings.back().level == Level::Fail || !mqtt.key_file.starts_with('/')) return findings;
  if (const Status fits = belong_together(mqtt.cert_file, mqtt.key_file); !fits) {
    findings.push_back(failed(kCertificate, mqtt.key_file, fits.error().full(),
                              "put the key there that the certificate was issued for"));
  }
  return findings;
}

}  // namespace wherry::check
