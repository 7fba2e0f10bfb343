// The canonical form of a workload and its hash. Only what is not at its default is written, each
// with its length: a field added later changes no hash of a workload that does not use it.

#include <algorithm>
#include <string>
#include <vector>

#include "agent/manifest/workload_spec.h"
#include "base/digest.h"

namespace wherry {
namespace {

class Canonical {
 public:
  void open(std::string_view name) { text_ += std::string(name) + "{"; }
  void close() { text_ += '}'; }
  void put(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    put_always(name, value);
  }
  void put_always(std::string_view name, std::string_view value) {
    text_ += std::string(name) + "=" + std::to_string(value.size()) + ":";
    text_ += value;
    text_ += ';';
  }
  void put(std::string_view name, int64_t value) {
    if (value != 0) put_always(name, std::to_string(value));
  }
  void put(std::string_view name, bool value) { put(name, static_cast<int64_t>(value)); }
  void put_each(std::string_view name, const std::vector<std::string>& values) {
    for (const std::string& value : values) put_always(name, value);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

template <typename T, typename Less>
std::vector<T> sorted(std::vector<T> values, Less less) {
  std::stable_sort(values.begin(), values.end(), less);
  return values;
}
template <typename T>
std::vector<T> sorted(std::vector<T> values) {
  return sorted(std::move(values), std::less<T>());
}

void put_ports(Canonical& out, const runtime::PodSpec& pod) {
  const auto key = [](const runtime::PortMapping& port) {
    return std::tie(port.protocol, port.host_port, port.host_ip, port.container_port);
  };
  const auto less = [&](const auto& a, const auto& b) { return key(a) < key(b); };
  for (const runtime::PortMapping& port : sorted(pod.ports, less)) {
    out.open("port");
    out.put("protocol", static_cast<int64_t>(port.protocol));
    out.put("host", int64_t{port.host_port});
    out.put("container", int64_t{port.container_port});
    out.put("ip", port.host_ip);
    out.close();
  }
}

void put_names(Canonical& out, const runtime::PodSpec& pod) {
  for (const runtime::HostAlias& alias : pod.host_aliases) {
    out.put_always("alias", alias.ip);
    out.put_each("is", alias.hostnames);
  }
  out.put("dns-own", !pod.dns.of_device);
  out.put_each("dns", pod.dns.nameservers);
  out.put_each("search", pod.dns.searches);
  out.put_each("dns-option", pod.dns.options);
}

void put_volumes(Canonical& out, const runtime::PodSpec& pod) {
  const auto less = [](const auto& a, const auto& b) { return a.name < b.name; };
  for (const runtime::Volume& volume : sorted(pod.volumes, less)) {
    out.open("volume");
    out.put("name", volume.name);
    out.put("kind", static_cast<int64_t>(volume.kind));
    out.put("path", volume.host_path);
    out.put("type", static_cast<int64_t>(volume.host_path_type));
    out.put("memory", volume.memory);
    out.put("huge-page", volume.huge_page);
    out.put("size", volume.size_limit);
    out.put("files", volume.definition);
    out.put("claim", volume.claim);
    out.put("image", volume.image);
    out.put("readonly", volume.read_only);
    out.put("owned", volume.owned);
    out.close();
  }
}

// Is the file at, or below, what a container has by subPath? "..data" is the whole volume.
bool is_part(const std::string& file, std::string sub_path) {
  constexpr std::string_view kData = "..data/";
  if (sub_path.starts_with(kData)) sub_path.erase(0, kData.size());
  if (sub_path.starts_with("..")) return true;
  return file.starts_with(sub_path) &&
         (file.size() == sub_path.size() || file[sub_path.size()] == '/');
}

// The content of a volume changes under a container in place, but not what it has by subPath.
void put_sub_path(Canonical& out, const runtime::PodSpec& pod, const runtime::VolumeMount& mount) {
  if (mount.sub_path.empty()) return;
  out.put("sub", mount.sub_path);
  for (const runtime::Volume& volume : pod.volumes) {
    if (volume.name != mount.volume) continue;
    for (const runtime::VolumeFile& file : volume.files) {
      if (!is_part(file.path, mount.sub_path)) continue;
      out.put_always("file", file.path);
      out.put("mode", static_cast<int64_t>(file.mode));
      out.put_always("content", file.content);
    }
  }
}

void put_profile(Canonical& out, std::string_view name, const runtime::SecurityProfile& profile) {
  if (profile.kind == runtime::SecurityProfile::Kind::Unset) return;
  out.open(name);
  out.put("kind", static_cast<int64_t>(profile.kind));
  out.put("name", profile.name);
  out.close();
}

void put_security(Canonical& out, const runtime::SecurityContext& security) {
  out.open("security");
  if (security.run_as_user) out.put_always("user", std::to_string(*security.run_as_user));
  if (security.run_as_group) out.put_always("group", std::to_string(*security.run_as_group));
  out.put("nonroot", security.run_as_non_root);
  for (const int64_t group : sorted(security.supplemental_groups)) {
    out.put_always("supplemental", std::to_string(group));
  }
  out.put("strict-groups", security.strict_groups);
  out.put("privileged", security.privileged);
  out.put("readonly", security.read_only_root_filesystem);
  out.put("escalation", security.allow_privilege_escalation);
  out.put_each("add", sorted(security.capabilities_add));
  out.put_each("drop", sorted(security.capabilities_drop));
  put_profile(out, "seccomp", security.seccomp);
  put_profile(out, "apparmor", security.apparmor);
  out.close();
}

// What can be changed in place only where it must not be.
void put_resources(Canonical& out, const runtime::Resources& resources) {
  if (resources.cpu_restarts) {
    out.put("cpu-limit", resources.cpu_limit_milli);
    out.put("cpu-request", resources.cpu_request_milli);
  }
  if (resources.memory_restarts) {
    out.put("memory-limit", resources.memory_limit);
    out.put("memory-request", resources.memory_request);
  }
  out.put("pids-limit", resources.pids_limit);
  // What is asked for, never which device was given.
  for (const auto& [name, amount] : resources.extended) {
    out.put_always("counted", name);
    out.put("amount", amount);
  }
}

void put_handler(Canonical& out, const runtime::Handler& handler) {
  out.put("kind", static_cast<int64_t>(handler.kind));
  out.put_each("command", handler.command);
  out.put("host", handler.host);
  out.put("port", int64_t{handler.port});
  out.put("https", handler.https);
  out.put("path", handler.path);
  for (const auto& [name, value] : handler.headers) {
    out.put_always("header", name);
    out.put_always("is", value);
  }
  out.put("service", handler.service);
  out.put("sleep", handler.sleep.count());
}

void put_hook(Canonical& out, std::string_view name,
              const std::optional<runtime::Handler>& handler) {
  if (!handler) return;
  out.open(name);
  put_handler(out, *handler);
  out.close();
}

void put_probe(Canonical& out, std::string_view name, const std::optional<runtime::Probe>& probe) {
  if (!probe) return;
  out.open(name);
  put_handler(out, probe->check);
  out.put("delay", probe->initial_delay.count());
  out.put("period", probe->period.count());
  out.put("timeout", probe->timeout.count());
  out.put("success", int64_t{probe->success_threshold});
  out.put("failure", int64_t{probe->failure_threshold});
  if (probe->grace) out.put_always("grace", std::to_string(probe->grace->count()));
  out.close();
}

void put_health(Canonical& out, const runtime::ContainerSpec& container) {
  static const runtime::ContainerSpec kPlain;
  out.put("role", static_cast<int64_t>(container.role));
  put_probe(out, "startup", container.startup);
  put_probe(out, "liveness", container.liveness);
  put_probe(out, "readiness", container.readiness);
  put_hook(out, "post-start", container.post_start);
  put_hook(out, "pre-stop", container.pre_stop);
  if (container.message_path != kPlain.message_path) {
    out.put_always("message-path", container.message_path);
  }
  out.put("message-from-logs", container.message_from_logs);
}

void put_container(Canonical& out, const runtime::PodSpec& pod,
                   const runtime::ContainerSpec& container) {
  out.open("container");
  out.put("name", container.name);
  out.put("image", container.image);
  out.put_each("command", container.command);
  out.put_each("arg", container.args);
  out.put("dir", container.working_dir);
  for (const auto& [name, value] : sorted(container.env)) {
    out.put_always("env", name);
    out.put_always("is", value);
  }
  put_resources(out, container.resources);
  put_security(out, container.security);
  put_health(out, container);
  const auto less = [](const auto& a, const auto& b) { return a.mount_path < b.mount_path; };
  for (const runtime::VolumeMount& mount : sorted(container.mounts, less)) {
    out.open("mount");
    out.put("volume", mount.volume);
    out.put("at", mount.mount_path);
    out.put("readonly", mount.read_only);
    put_sub_path(out, pod, mount);
    out.put("propagation", static_cast<int64_t>(mount.propagation));
    out.close();
  }
  out.close();
}

}  // namespace

std::string canonical_spec(const WorkloadSpec& workload) {
  Canonical out;
  const runtime::PodSpec& pod = workload.pod;
  out.put("restart", static_cast<int64_t>(workload.restart_policy));
  out.put("hostname", pod.hostname);
  out.put("domain", pod.domain);
  out.put("full-hostname", pod.hostname_is_full);
  out.put("host-network", pod.host_network);
  out.put("host-pids", pod.host_pids);
  out.put("host-ipc", pod.host_ipc);
  out.put("share-processes", pod.share_processes);
  out.put("data-api", pod.data_api);
  put_ports(out, pod);
  put_names(out, pod);
  put_volumes(out, pod);
  if (pod.fs_group) out.put_always("fs-group", std::to_string(*pod.fs_group));
  for (const auto& [name, value] : sorted(pod.sysctls)) {
    out.put_always("sysctl", name);
    out.put_always("is", value);
  }
  out.put("runtime-class", pod.runtime_class);
  out.put_each("cdi", sorted(pod.cdi_devices));
  // Whom the kernel kills first is decided when a container starts.
  out.put("qos", static_cast<int64_t>(runtime::qos_class(pod)));
  for (const runtime::ContainerSpec& container : pod.containers) {
    put_container(out, pod, container);
  }
  return out.text();
}

bool differ_in_images_only(const WorkloadSpec& a, const WorkloadSpec& b) {
  const auto without = [](WorkloadSpec workload) {
    for (runtime::ContainerSpec& each : workload.pod.containers) each.image.clear();
    for (runtime::Volume& each : workload.pod.volumes) each.image.clear();
    return canonical_spec(workload);
  };
  return without(a) == without(b);
}

std::string spec_hash(const WorkloadSpec& workload) {
  return sha256_hex(canonical_spec(workload)).substr(0, 16);
}

}  // namespace wherry
