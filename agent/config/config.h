#pragma once
// The agent's configuration: /etc/wherry/wherry.yaml, then wherry.d/*.yaml in name order, then
// --set. Field names and defaults are those of docs/configuration.md. Sizes in bytes.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "telemetry/metrics/metric.h"

namespace wherry {

struct Config {
  struct Device {
    std::string id;  // default: from /etc/machine-id
    std::vector<std::string> groups;
    std::map<std::string, std::string> labels;
    std::string clock = "auto";  // or "trusted": right whatever the kernel says
    bool operator==(const Device&) const = default;
  } device;
  struct Mqtt {
    std::vector<std::string> brokers{"mqtt://127.0.0.1:1883"};
    int version = 5;  // 5, or 4 for 3.1.1
    std::string topic_prefix = "wherry/v1";
    std::string client_id;  // default: device id
    std::string username, password_file, ca_file, cert_file;
    std::string key_file;  // or a PKCS#11 URI
    std::string alpn;
    Duration keepalive = std::chrono::seconds(60);
    Duration session_expiry = std::chrono::hours(7 * 24);
    Duration reconnect_min = std::chrono::seconds(1);
    Duration reconnect_max = std::chrono::minutes(5);
    bool operator==(const Mqtt&) const = default;
  } mqtt;
  struct Security {
    bool require_signature = false;
    std::string trusted_keys_dir = "/etc/wherry/keys.d";
    std::map<std::string, bool> allow;
    bool operator==(const Security&) const = default;
  } security;
  struct Containerd {
    std::string address = "/run/containerd/containerd.sock";
    std::string namespace_ = "wherry";
    std::string snapshotter = "overlayfs";
    std::string runtime = "io.containerd.runc.v2";
    std::map<std::string, std::string> runtime_classes;
    std::vector<std::string> cdi_spec_dirs{"/etc/cdi", "/var/run/cdi"};
    bool operator==(const Containerd&) const = default;
  } containerd;
  // What one extended resource stands for. Either `paths` or `cdi`.
  struct DeviceClass {
    std::vector<std::string> paths, cdi;
    int shared = 1;
    std::string permissions = "rwm", container_path;
    bool operator==(const DeviceClass&) const = default;
  };
  std::map<std::string, DeviceClass> devices;  // by the name of the resource
  struct Images {
    std::string hosts_dir = "/etc/containerd/certs.d";
    std::string docker_config, credential_helper;
    std::string preload_dir = "/var/lib/wherry/preload";
    int max_parallel_downloads = 3;
    int64_t bandwidth_limit = 0;  // bytes a second; 0: none
    int gc_high_percent = 85, gc_low_percent = 75;
    bool operator==(const Images&) const = default;
  } images;
  struct Network {
    std::string cni_bin_dir = "/usr/lib/cni";
    std::string cni_conf_dir = "/etc/cni/net.d";
    std::string bridge_subnet = "10.89.0.0/16";
    std::string service_subnet = "10.90.0.0/16";
    // What it comes to: the default gives way to a bridge_subnet that it would overlap with.
    std::string services() const;
    bool operator==(const Network&) const = default;
  } network;
  struct Storage {
    std::string state_dir = "/var/lib/wherry";
    std::string run_dir = "/run/wherry";
    int64_t reserve = 200ll << 20;
    bool operator==(const Storage&) const = default;
  } storage;
  struct Manifests {
    std::string dir = "/etc/wherry/manifests.d";
    bool operator==(const Manifests&) const = default;
  } manifests;
  struct Telemetry {
    Duration interval = std::chrono::seconds(60);  // 0: no samples
    Duration gather = std::chrono::minutes(15);
    // What samples have: groups of metrics.
    std::vector<std::string> node{telemetry::kNodeGroups.begin(), telemetry::kNodeGroups.end()};
    std::vector<std::string> containers{telemetry::kContainerGroups.begin(),
                                        telemetry::kContainerGroups.end()};
    int64_t outbox_max_bytes = 64ll << 20;
    std::string logs_forward = "none";  // or errors, all
    int64_t logs_rate = 16ll << 10;     // of a container, bytes a second
    int64_t logs_max_bytes = 10ll << 20;
    bool operator==(const Telemetry&) const = default;
  } telemetry;
  struct Api {
    std::string socket = "/run/wherry/api.sock";
    std::string listen;  // host:port, or empty
    std::string token_file;
    bool operator==(const Api&) const = default;
  } api;
  struct Log {
    LogLevel level = LogLevel::Info;
    std::string format = "auto";
    bool operator==(const Log&) const = default;
  } log;
  bool operator==(const Config&) const = default;
};

struct ConfigIssue {
  std::string file;  // or "--set"
  int line = 0;      // from 1; 0: the file as a whole
  std::string message;
};
std::string to_string(const ConfigIssue& issue);  // file:line: message

struct ConfigResult {
  Config config;                    // device.id and mqtt.client_id filled in
  std::vector<ConfigIssue> errors;  // empty: the configuration is good
};

// `sets` are "key.path=value" in order, the value a YAML scalar or flow value. Reads `file`, then
// <dir of file>/wherry.d/*.yaml. A missing `file` is an error unless `file_may_be_missing`.
// Maps of later sources are merged into those of earlier ones, lists and scalars replace them.
// `machine_id_file` is read only where device.id is not set.
ConfigResult load_config(const std::string& file, const std::vector<std::string>& sets,
                         bool file_may_be_missing = false,
                         const std::string& machine_id_file = "/etc/machine-id");

// The file that mqtt.key_file names by `pin-source` where it is a PKCS#11 URI; "" where it names
// none.
std::string pin_file_of(const std::string& key_file);

// The keys whose values differ, e.g. "log.level", for a reload.
struct ConfigChange {
  std::string key;
  bool needs_restart = true;
};
std::vector<ConfigChange> config_changes(const Config& before, const Config& after);
// What an agent goes by after a reload: `fresh` counts for the keys that need no restart.
Config reloaded_config(Config running, Config fresh);

}  // namespace wherry
