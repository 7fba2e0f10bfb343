#include "agent/config/keys.h"

#include "agent/config/forms.h"
#include "agent/config/patterns.h"

namespace wherry::config {
namespace {

Slot devices(Config& config) { return &config.devices; }

template <auto Section, auto Field>
Slot at(Config& config) {
  return &(config.*Section.*Field);
}

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int64_t kKi = 1024;
constexpr Range kAny{};

using C = Config;
using enum Applies;

constexpr Key kKeys[] = {
    {"device.id", &kDeviceId, at<&C::device, &C::Device::id>},
    {"device.groups", &kGroups, at<&C::device, &C::Device::groups>},
    {"device.labels", &kLabels, at<&C::device, &C::Device::labels>},
    {"device.clock", &kClock, at<&C::device, &C::Device::clock>},

    {"mqtt.brokers", &kBrokers, at<&C::mqtt, &C::Mqtt::brokers>},
    {"mqtt.version", &kMqttVersion, at<&C::mqtt, &C::Mqtt::version>},
    {"mqtt.topic_prefix", &kTopic, at<&C::mqtt, &C::Mqtt::topic_prefix>},
    {"mqtt.client_id", &kText, at<&C::mqtt, &C::Mqtt::client_id>},
    {"mqtt.username", &kText, at<&C::mqtt, &C::Mqtt::username>},
    {"mqtt.password_file", &kSecretPath, at<&C::mqtt, &C::Mqtt::password_file>},
    {"mqtt.ca_file", &kOptionalPath, at<&C::mqtt, &C::Mqtt::ca_file>},
    {"mqtt.cert_file", &kOptionalPath, at<&C::mqtt, &C::Mqtt::cert_file>},
    {"mqtt.key_file", &kKeyFile, at<&C::mqtt, &C::Mqtt::key_file>},
    {"mqtt.alpn", &kAlpn, at<&C::mqtt, &C::Mqtt::alpn>},
    // MQTT 5.0, 3.1.2.10: sixteen bits of seconds. The MQTT library takes no less than five.
    {"mqtt.keepalive",
     &kSeconds,
     at<&C::mqtt, &C::Mqtt::keepalive>,
     Restart,
     {5 * kSecond, 65'535 * kSecond}},
    // MQTT 5.0, 3.1.2.11.2: thirty-two bits of seconds, the greatest of them meaning for ever.
    {"mqtt.session_expiry",
     &kSeconds,
     at<&C::mqtt, &C::Mqtt::session_expiry>,
     Restart,
     {0, 4'294'967'294 * kSecond}},
    {"mqtt.reconnect.min",
     &kDuration,
     at<&C::mqtt, &C::Mqtt::reconnect_min>,
     Restart,
     {kSecond / 100, kDay}},
    {"mqtt.reconnect.max",
     &kDuration,
     at<&C::mqtt, &C::Mqtt::reconnect_max>,
     Restart,
     {kSecond / 100, kDay}},

    {"security.require_signature", &kBoolean, at<&C::security, &C::Security::require_signature>},
    {"security.trusted_keys_dir", &kPath, at<&C::security, &C::Security::trusted_keys_dir>},
    {"security.allow", &kSwitches, at<&C::security, &C::Security::allow>},

    {"containerd.address", &kSocketPath, at<&C::containerd, &C::Containerd::address>},
    {"containerd.namespace", &kIdentifier, at<&C::containerd, &C::Containerd::namespace_>},
    {"containerd.snapshotter", &kIdentifier, at<&C::containerd, &C::Containerd::snapshotter>},
    {"containerd.runtime", &kRuntime, at<&C::containerd, &C::Containerd::runtime>},
    {"containerd.runtime_classes", &kTexts, at<&C::containerd, &C::Containerd::runtime_classes>},
    {"containerd.cdi_spec_dirs", &kPaths, at<&C::containerd, &C::Containerd::cdi_spec_dirs>,
     Reload},

    {"devices", &kDevices, devices, Reload},

    {"images.hosts_dir", &kPath, at<&C::images, &C::Images::hosts_dir>},
    {"images.docker_config", &kSecretPath, at<&C::images, &C::Images::docker_config>},
    {"images.credential_helper", &kOptionalPath, at<&C::images, &C::Images::credential_helper>},
    {"images.preload_dir", &kPath, at<&C::images, &C::Images::preload_dir>},
    {"images.max_parallel_downloads",
     &kCount,
     at<&C::images, &C::Images::max_parallel_downloads>,
     Restart,
     {1, 16}},
    {"images.bandwidth_limit", &kSize, at<&C::images, &C::Images::bandwidth_limit>, Reload},
    {"images.gc.high", &kPercent, at<&C::images, &C::Images::gc_high_percent>, Restart, {1, 100}},
    {"images.gc.low", &kPercent, at<&C::images, &C::Images::gc_low_percent>, Restart, {0, 99}},

    {"network.cni_bin_dir", &kPath, at<&C::network, &C::Network::cni_bin_dir>},
    {"network.cni_conf_dir", &kPath, at<&C::network, &C::Network::cni_conf_dir>},
    {"network.bridge_subnet", &kSubnet, at<&C::network, &C::Network::bridge_subnet>},
    {"network.service_subnet", &kSubnet, at<&C::network, &C::Network::service_subnet>},

    {"storage.state_dir", &kPath, at<&C::storage, &C::Storage::state_dir>},
    {"storage.run_dir", &kPath, at<&C::storage, &C::Storage::run_dir>},
    {"storage.reserve", &kSize, at<&C::storage, &C::Storage::reserve>},

    {"manifests.dir", &kPath, at<&C::manifests, &C::Manifests::dir>},

    {"telemetry.interval",
     &kInterval,
     at<&C::telemetry, &C::Telemetry::interval>,
     Restart,
     {kSecond, kDay}},
    {"telemetry.gather", &kDuration, at<&C::telemetry, &C::Telemetry::gather>, Restart, {0, kDay}},
    {"telemetry.node", &kNodeMetrics, at<&C::telemetry, &C::Telemetry::node>},
    {"telemetry.containers", &kContainerMetrics, at<&C::telemetry, &C::Telemetry::containers>},
    {"telemetry.outbox.max_bytes",
     &kSize,
     at<&C::telemetry, &C::Telemetry::outbox_max_bytes>,
     Restart,
     {1024 * kKi, kAny.max}},
    {"telemetry.logs.forward", &kLogForward, at<&C::telemetry, &C::Telemetry::logs_forward>},
    {"telemetry.logs.rate",
     &kSize,
     at<&C::telemetry, &C::Telemetry::logs_rate>,
     Restart,
     {kKi, 1024 * 1024 * kKi}},
    {"telemetry.logs.max_bytes",
     &kSize,
     at<&C::telemetry, &C::Telemetry::logs_max_bytes>,
     Restart,
     {64 * kKi, kAny.max}},

    {"api.socket", &kSocketPath, at<&C::api, &C::Api::socket>},
    {"api.listen", &kListen, at<&C::api, &C::Api::listen>},
    {"api.token_file", &kSecretPath, at<&C::api, &C::Api::token_file>},

    {"log.level", &kLogLevel, at<&C::log, &C::Log::level>, Reload},
    {"log.format", &kLogFormat, at<&C::log, &C::Log::format>},
};

}  // namespace

std::span<const Key> keys() { return kKeys; }

std::string Key::show(const Config& config) const {
  // The slot is only read here; there is one accessor for reading and writing.
  return form->show(slot(const_cast<Config&>(config)));
}

std::vector<Contradiction> contradictions(const Config& config) {
  std::vector<Contradiction> found;
  const auto& mqtt = config.mqtt;
  if (mqtt.reconnect_min > mqtt.reconnect_max) {
    found.push_back({"mqtt.reconnect.min",
                     "is " + format_duration(mqtt.reconnect_min) +
                         ", above mqtt.reconnect.max, which is " +
                         format_duration(mqtt.reconnect_max),
                     "mqtt.reconnect.max"});
  }
  if (mqtt.cert_file.empty() != mqtt.key_file.empty()) {
    const auto [key, other] = mqtt.cert_file.empty() ? std::pair("mqtt.key_file", "mqtt.cert_file")
                                                     : std::pair("mqtt.cert_file", "mqtt.key_file");
    found.push_back(
        {key, std::string("needs ") + other + " as well: a client certificate is both"});
  }
  // MQTT 3.1.1, 3.1.2.9: without the user name flag there must be no password.
  if (!mqtt.password_file.empty() && mqtt.username.empty()) {
    found.push_back({"mqtt.password_file", "needs mqtt.username as well"});
  }
  if (config.images.gc_low_percent >= config.images.gc_high_percent) {
    found.push_back({"images.gc.low",
                     "must be below images.gc.high, which is " +
                         std::to_string(config.images.gc_high_percent) + "%",
                     "images.gc.high"});
  }
  if (!config.api.listen.empty() && config.api.token_file.empty()) {
    found.push_back({"api.listen", "needs api.token_file: over TCP every caller shows a token"});
  }
  // Where the default would, another one is taken.
  const Config::Network& network = config.network;
  if (network.service_subnet != Config::Network().service_subnet &&
      networks_overlap(network.bridge_subnet, network.service_subnet)) {
    found.push_back({"network.service_subnet",
                     "must not overlap with network.bridge_subnet, which is " +
                         network.bridge_subnet + ": Services are no neighbours of Pods"});
  }
  for (const auto& [name, device] : config.devices) {
    if (device.paths.empty() == device.cdi.empty()) {
      found.push_back({"devices", "has \"" + name + "\", which needs either paths or cdi"});
    } else if (!device.cdi.empty() && !device.container_path.empty()) {
      found.push_back({"devices", "has \"" + name +
                                      "\", whose container_path goes with paths only: a CDI "
                                      "specification says where its nodes are"});
    }
  }
  if (config.storage.state_dir == config.storage.run_dir) {
    found.push_back({"storage.run_dir",
                     "must not be storage.state_dir: one survives a reboot, the other must not",
                     "storage.state_dir"});
  }
  return found;
}

}  // namespace wherry::config
