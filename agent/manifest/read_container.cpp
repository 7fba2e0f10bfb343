// One container of a Pod, and the ports of all.

#include <map>
#include <set>

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"
#include "runtime/image/reference.h"

namespace wherry::manifest {
namespace {

// Always where a tag moves by habit, as in Kubernetes.
runtime::PullPolicy default_pull_policy(const runtime::Reference& image) {
  return image.digest.empty() && image.tag == "latest" ? runtime::PullPolicy::Always
                                                       : runtime::PullPolicy::IfNotPresent;
}

ValueRef read_ref(const Cursor& ref, ValueRef::From from) {
  ValueRef value;
  value.from = from;
  value.name = ref.string("name");
  value.key = ref.string("key");
  value.optional = ref.boolean("optional");
  value.place = ref.place();
  return value;
}

void check_field_path(const Cursor& ref, std::string_view path) {
  static constexpr std::string_view kPlain[] = {
      "metadata.name", "metadata.namespace",      "metadata.uid",
      "spec.nodeName", "spec.serviceAccountName", "status.podIP",
      "status.podIPs", "status.hostIP",           "status.hostIPs"};
  if (path.empty()) return;
  for (const std::string_view known : kPlain) {
    if (path == known) return;
  }
  for (const std::string_view map : {"metadata.labels['", "metadata.annotations['"}) {
    if (path.substr(0, map.size()) == map && path.size() > map.size() + 2 &&
        path.substr(path.size() - 2) == "']") {
      return;
    }
  }
  ref.error_at(
      "fieldPath",
      "\"" + shown(path) +
          "\" is not supported by this version; metadata.name, metadata.namespace, "
          "metadata.uid, metadata.labels['...'], metadata.annotations['...'], spec.nodeName, "
          "spec.serviceAccountName, status.podIP, status.podIPs, status.hostIP and status.hostIPs "
          "are");
}

void read_value_from(const Cursor& source, EnvEntry& entry) {
  int given = 0;
  source.with("configMapKeyRef", [&](const Cursor& ref) {
    entry.from = read_ref(ref, ValueRef::From::ConfigMap), ++given;
  });
  source.with("secretKeyRef", [&](const Cursor& ref) {
    entry.from = read_ref(ref, ValueRef::From::Secret), ++given;
  });
  source.with("fieldRef", [&](const Cursor& ref) {
    entry.from = read_ref(ref, ValueRef::From::Field), ++given;
    entry.from->key = ref.string("fieldPath");
    check_field_path(ref, entry.from->key);
  });
  source.with("resourceFieldRef", [&](const Cursor& ref) {
    entry.from = read_ref(ref, ValueRef::From::Resource), ++given;
    entry.from->key = ref.string("resource");
    entry.from->container = ref.string("containerName");
    entry.from->divisor = read_divisor(ref);
  });
  const bool refused = source.has("fileKeyRef");
  if (given > 1) source.error("takes one source only: split it into several variables");
  if (given == 0 && !refused) {
    source.error("needs one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef");
  }
}

void read_env(const Cursor& container, ContainerItem& item) {
  container.each("env", Kind::Map, [&](const Cursor& variable) {
    EnvEntry entry{std::string(variable.string("name")), std::string(variable.string("value")), {}};
    if (variable.get("name", Kind::String) != nullptr) {
      const std::string_view problem = env_name_problem(entry.name);
      if (!problem.empty()) variable.error_at("name", std::string(problem));
    }
    if (variable.has("valueFrom") && !entry.value.empty()) {
      variable.error_at("valueFrom", "a variable has value or valueFrom, not both");
    }
    variable.with("valueFrom", [&](const Cursor& from) { read_value_from(from, entry); });
    item.env.push_back(std::move(entry));
  });
}

void read_env_from(const Cursor& container, ContainerItem& item) {
  container.each("envFrom", Kind::Map, [&](const Cursor& source) {
    EnvFromEntry entry;
    entry.prefix = source.string("prefix");
    if (!entry.prefix.empty()) {
      const std::string_view problem = env_name_problem(entry.prefix);
      if (!problem.empty()) source.error_at("prefix", std::string(problem));
    }
    const bool config = source.has("configMapRef");
    if (config == source.has("secretRef")) {
      return source.error("needs either configMapRef or secretRef");
    }
    source.with(config ? "configMapRef" : "secretRef", [&](const Cursor& ref) {
      entry.source = read_ref(ref, config ? ValueRef::From::ConfigMap : ValueRef::From::Secret);
      item.env_from.push_back(std::move(entry));
    });
  });
}

void read_sub_path(const Cursor& mount, runtime::VolumeMount& made, ContainerItem& item) {
  const std::string_view path = mount.string("subPath");
  const std::string_view expression = mount.string("subPathExpr");
  if (!path.empty()) {
    const std::string_view problem = sub_path_problem(path);
    if (!problem.empty()) mount.error_at("subPath", std::string(problem));
    made.sub_path = plain_sub_path(path);
  }
  if (expression.empty()) return;
  if (!path.empty()) return mount.error_at("subPathExpr", "goes not with subPath: choose one");
  const std::string_view problem = sub_path_problem(expression);
  if (!problem.empty()) mount.error_at("subPathExpr", std::string(problem));
  item.sub_path_exprs.push_back({item.spec.mounts.size(), std::string(expression), mount.place()});
}

void read_propagation(const Cursor& mount, const runtime::SecurityContext& security,
                      runtime::VolumeMount& made) {
  const std::string_view name = mount.string("mountPropagation");
  if (name == "HostToContainer") made.propagation = runtime::MountPropagation::HostToContainer;
  if (name != "Bidirectional") return;
  made.propagation = runtime::MountPropagation::Bidirectional;
  if (security.privileged) return;
  mount.error_at("mountPropagation",
                 "Bidirectional reaches the device's own mounts: it needs "
                 "securityContext.privileged: true");
}

void read_mounts(const Cursor& container, const PodContext& pod, ContainerItem& item) {
  runtime::ContainerSpec& spec = item.spec;
  std::set<std::string, std::less<>> paths;
  container.each("volumeMounts", Kind::Map, [&](const Cursor& mount) {
    runtime::VolumeMount made;
    made.volume = mount.string("name");
    made.mount_path = mount.string("mountPath");
    made.read_only = mount.boolean("readOnly");
    if (!made.volume.empty() && pod.volumes.count(made.volume) == 0) {
      mount.error_at("name", "the Pod has no volume named \"" + shown(made.volume) +
                                 "\": add it under spec.volumes");
    }
    if (mount.get("mountPath", Kind::String) == nullptr) return;
    while (made.mount_path.size() > 1 && made.mount_path.back() == '/') made.mount_path.pop_back();
    const std::string_view problem = container_path_problem(made.mount_path);
    if (!problem.empty()) return mount.error_at("mountPath", std::string(problem));
    if (made.mount_path == "/") return mount.error_at("mountPath", "must not be /");
    if (!paths.insert(made.mount_path).second) {
      return mount.error_at("mountPath", "\"" + shown(made.mount_path) + "\" is mounted twice");
    }
    read_sub_path(mount, made, item);
    read_propagation(mount, spec.security, made);
    spec.mounts.push_back(std::move(made));
  });
}

void read_strings(const Cursor& container, std::string_view field, std::vector<std::string>& into) {
  container.each(field, Kind::String,
                 [&](const Cursor& entry) { into.emplace_back(entry.node().text); });
}

}  // namespace

runtime::Protocol protocol_of(std::string_view name) {
  if (name == "UDP") return runtime::Protocol::Udp;
  return name == "SCTP" ? runtime::Protocol::Sctp : runtime::Protocol::Tcp;
}

void read_image(const Cursor& at, std::string_view reference_field, std::string_view policy_field,
                std::string& image, runtime::PullPolicy& pull_policy) {
  image = at.string(reference_field);
  if (at.get(reference_field, Kind::String) == nullptr) return;
  const auto reference = runtime::parse_reference(image);
  if (!reference) at.error_at(reference_field, reference.error().message());
  const std::string_view policy = at.string(policy_field);
  if (policy == "Always") {
    pull_policy = runtime::PullPolicy::Always;
  } else if (policy == "Never") {
    pull_policy = runtime::PullPolicy::Never;
  } else if (policy.empty() && reference) {
    pull_policy = default_pull_policy(*reference);
  }
}

ContainerItem read_container(const Cursor& container, const PodContext& pod,
                             runtime::ContainerRole role) {
  ContainerItem item;
  item.place = container.place();
  runtime::ContainerSpec& spec = item.spec;
  spec.role = role;
  if (role == runtime::ContainerRole::Main && container.has("restartPolicy")) {
    container.error_at("restartPolicy", "only an init container has one: set that of the Pod");
  }
  spec.name = container.string("name");
  if (container.get("name", Kind::String) != nullptr) {
    const std::string_view problem = dns_label_problem(spec.name);
    if (!problem.empty()) container.error_at("name", std::string(problem));
  }
  read_image(container, "image", "imagePullPolicy", spec.image, spec.pull_policy);
  read_strings(container, "command", spec.command);
  read_strings(container, "args", spec.args);
  spec.working_dir = container.string("workingDir");
  if (!spec.working_dir.empty() && spec.working_dir.front() != '/') {
    container.error_at("workingDir", "must be an absolute path");
  }
  read_env_from(container, item);
  read_env(container, item);
  container.with("resources",
                 [&](const Cursor& resources) { spec.resources = read_resources(resources); });
  read_resize_policy(container, spec.resources);
  spec.security = pod.security;
  container.with("securityContext", [&](const Cursor& context) {
    spec.security = read_security(context, pod.security);
  });
  read_mounts(container, pod, item);
  read_health(container, spec);
  return item;
}

std::vector<HostPort> read_host_ports(const Cursor& pod_spec, bool host_network) {
  std::vector<HostPort> ports;
  std::set<std::string, std::less<>> names;
  const auto read = [&](const Cursor& port) {
    HostPort made;
    const auto inside = port.integer_within("containerPort", 1, 65535);
    const auto outside = port.integer_within("hostPort", 0, 65535);
    const std::string_view name = port.string("name");
    if (port.get("name", Kind::String) != nullptr) {
      const std::string_view problem = port_name_problem(name);
      if (!problem.empty()) port.error_at("name", std::string(problem));
      if (!names.emplace(name).second) port.error_at("name", "is used by another port of the Pod");
    }
    made.mapping.protocol = protocol_of(port.string("protocol"));
    if (const std::string_view ip = port.string("hostIP"); !ip.empty()) {
      const std::optional<std::string> known = canonical_ip(ip);
      if (!known) port.error_at("hostIP", "must be an IP address");
      made.mapping.host_ip = known.value_or("");
    }
    if (!inside) return;
    const bool taken = host_network || outside.value_or(0) != 0;
    if (!taken) return;
    if (host_network && outside.value_or(0) != 0 && *outside != *inside) {
      return port.error_at("hostPort", "must equal containerPort with hostNetwork");
    }
    made.mapping.container_port = static_cast<uint16_t>(*inside);
    made.mapping.host_port = static_cast<uint16_t>(host_network ? *inside : *outside);
    made.place = port.place();
    ports.push_back(std::move(made));
  };
  // Init containers have ended when the others listen; sidecars go on.
  pod_spec.each("initContainers", Kind::Map, [&](const Cursor& container) {
    if (container.has("restartPolicy")) container.each("ports", Kind::Map, read);
  });
  pod_spec.each("containers", Kind::Map,
                [&](const Cursor& container) { container.each("ports", Kind::Map, read); });
  return ports;
}

std::vector<NamedPort> read_named_ports(const Cursor& pod_spec) {
  std::vector<NamedPort> ports;
  const auto read = [&](const Cursor& port) {
    const std::string_view name = port.string("name");
    const auto number = port.integer("containerPort").value_or(0);
    if (name.empty() || number < 1 || number > 65535) return;
    ports.push_back(
        {std::string(name), protocol_of(port.string("protocol")), static_cast<uint16_t>(number)});
  };
  pod_spec.each("initContainers", Kind::Map, [&](const Cursor& container) {
    if (container.has("restartPolicy")) container.each("ports", Kind::Map, read);
  });
  pod_spec.each("containers", Kind::Map,
                [&](const Cursor& container) { container.each("ports", Kind::Map, read); });
  return ports;
}

}  // namespace wherry::manifest
