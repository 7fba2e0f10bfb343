#include "agent/main/room_options.h"

#include <unistd.h>

#include "agent/reconcile/document_requests.h"
#include "base/digest.h"
#include "base/log.h"

namespace wherry {

std::string instance_of(const Config& config) {
  return config.storage.run_dir == "/run/wherry" ? ""
                                                 : sha256_hex(config.storage.run_dir).substr(0, 8);
}

runtime::NetworkOptions network_options(const Config& config, const std::string& instance) {
  runtime::NetworkOptions options;
  options.run_dir = config.storage.run_dir;
  options.cni_bin_dir = config.network.cni_bin_dir;
  options.cni_conf_dir = config.network.cni_conf_dir;
  options.bridge_subnet = config.network.bridge_subnet;
  // An interface name has at most 15 characters.
  options.bridge_name = instance.empty() ? "wherry0" : "wherry-" + instance;
  return options;
}

std::vector<std::string> sources_of(const Config& config) {
  std::vector<std::string> sources{kLocalSource};
  for (const std::string& group : config.device.groups) sources.push_back("groups/" + group);
  sources.push_back("devices/" + config.device.id);
  return sources;
}

runtime::HostFacts host_facts() {
  runtime::HostFacts facts = runtime::detect_host();
  if (!facts.can_raise_rlimits) {
    log_info("no container can be kept from the OOM killer here: CAP_SYS_RESOURCE is missing",
             {{"least_oom_score_adj", std::to_string(facts.least_oom_score)}});
  }
  if (!facts.hugetlb && !facts.huge_pages.empty()) {
    log_info("huge pages are counted but not limited: the kernel has no hugetlb cgroup");
  }
  return facts;
}

runtime::DeviceOptions device_options(const Config& config) {
  runtime::DeviceOptions options;
  for (const auto& [name, device] : config.devices) {
    options.classes[name] = {device.paths, device.cdi, device.shared, device.permissions,
                             device.container_path};
  }
  options.cdi_dirs = config.containerd.cdi_spec_dirs;
  return options;
}

std::string hostname() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

FleetOptions fleet_options(const Config& config, const std::string& boot) {
  const Config::Mqtt& mqtt = config.mqtt;
  FleetOptions options;
  options.device_id = config.device.id;
  options.groups = config.device.groups;
  options.boot_id = boot;
  options.brokers = mqtt.brokers;
  options.version = mqtt.version;
  options.topic_prefix = mqtt.topic_prefix;
  options.client_id = mqtt.client_id.empty() ? config.device.id : mqtt.client_id;
  options.username = mqtt.username;
  options.password_file = mqtt.password_file;
  options.ca_file = mqtt.ca_file;
  options.cert_file = mqtt.cert_file;
  options.key_file = mqtt.key_file;
  options.alpn = mqtt.alpn;
  options.socket_dir = config.storage.run_dir;
  options.keepalive = mqtt.keepalive;
  options.session_expiry = mqtt.session_expiry;
  options.reconnect_min = mqtt.reconnect_min;
  options.reconnect_max = mqtt.reconnect_max;
  return options;
}

}  // namespace wherry
