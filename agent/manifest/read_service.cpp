// A Service.

#include <set>

#include "agent/manifest/items.h"
#include "agent/manifest/names.h"

namespace wherry {

bool selects(const ServiceSpec& service, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : service.selector) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  return true;
}

uint16_t target_of(const ServicePort& port, const WorkloadSpec& pod) {
  if (port.target_name.empty()) return port.target;
  for (const NamedPort& named : pod.named_ports) {
    if (named.name == port.target_name && named.protocol == port.protocol) return named.port;
  }
  return 0;
}

namespace manifest {
namespace {

constexpr int64_t kFirstNodePort = 30000, kLastNodePort = 32767;
constexpr int64_t kMaxAffinity = 86400, kDefaultAffinity = 10800;
constexpr size_t kMaxPorts = 100;

void read_target(const Cursor& at, ServicePort& port) {
  const Node* target = at.get("targetPort");
  if (target == nullptr) {
    port.target = port.port;
  } else if (target->kind == Kind::Integer) {
    const auto number = at.integer_within("targetPort", 1, 65535);
    port.target = static_cast<uint16_t>(number.value_or(0));
  } else if (target->kind == Kind::String) {
    port.target_name = target->text;
    const std::string_view problem = port_name_problem(port.target_name);
    if (!problem.empty()) at.error_at("targetPort", std::string(problem));
  }
}

void read_node_port(const Cursor& at, bool node_ports, ServicePort& port) {
  const auto number = at.integer("nodePort");
  if (!number || *number == 0) return;
  if (!node_ports) return at.error_at("nodePort", "goes with type: NodePort only");
  if (*number < kFirstNodePort || *number > kLastNodePort) {
    return at.error_at("nodePort", "must be between 30000 and 32767");
  }
  port.node_port = static_cast<uint16_t>(*number);
}

void read_ports(const Cursor& spec, ServiceItem& item) {
  ServiceSpec& service = item.spec;
  const Node* list = spec.get("ports", Kind::List);
  const size_t count = list == nullptr ? 0 : list->count;
  if (count == 0 && !service.headless) spec.error_at("ports", "a Service needs at least one port");
  if (count > kMaxPorts) spec.error_at("ports", "has more than 100 ports: split the Service");
  std::set<std::string, std::less<>> names;
  std::set<std::pair<runtime::Protocol, uint16_t>> ports;
  spec.each("ports", Kind::Map, [&](const Cursor& at) {
    ServicePort port;
    port.name = at.string("name");
    if (count > 1 && port.name.empty()) {
      at.error_at("name", "is required where a Service has several ports");
    } else if (!port.name.empty()) {
      const std::string_view problem = dns_label_problem(port.name);
      if (!problem.empty()) at.error_at("name", std::string(problem));
      if (!names.insert(port.name).second) at.error_at("name", "is used by another port");
    }
    port.protocol = protocol_of(at.string("protocol"));
    const auto number = at.integer_within("port", 1, 65535);
    if (number) port.port = static_cast<uint16_t>(*number);
    if (number && !ports.emplace(port.protocol, port.port).second) {
      at.error_at("port", "is given twice for this protocol");
    }
    read_target(at, port);
    read_node_port(at, service.node_ports, port);
    service.ports.push_back(std::move(port));
    item.ports.push_back(at.place());
  });
}

void read_affinity(const Cursor& spec, ServiceSpec& service) {
  const bool wanted = spec.string("sessionAffinity") == "ClientIP";
  if (wanted) service.affinity_seconds = kDefaultAffinity;
  spec.with("sessionAffinityConfig", [&](const Cursor& config) {
    if (!wanted) config.error("goes with sessionAffinity: ClientIP only");
    config.with("clientIP", [&](const Cursor& client) {
      const auto seconds = client.integer_within("timeoutSeconds", 1, kMaxAffinity);
      if (wanted && seconds) service.affinity_seconds = static_cast<int>(*seconds);
    });
  });
}

// As on a cluster that has IPv4 only.
void read_families(const Cursor& spec) {
  const std::string_view policy = spec.string("ipFamilyPolicy");
  const Node* families = spec.get("ipFamilies", Kind::List);
  const size_t count = families == nullptr ? 0 : families->count;
  if (policy == "RequireDualStack") {
    spec.error_at("ipFamilyPolicy",
                  "needs IPv6, and Services have IPv4 addresses only here: write PreferDualStack, "
                  "which makes do with them");
  } else if (count > 1 && policy != "PreferDualStack") {
    spec.error_at("ipFamilies",
                  policy.empty() ? "means ipFamilyPolicy: RequireDualStack where it has both, and "
                                   "Services have IPv4 addresses only here: write PreferDualStack"
                                 : "may name one family only with ipFamilyPolicy: SingleStack");
  }
  std::set<std::string, std::less<>> seen;
  spec.each("ipFamilies", Kind::String, [&](const Cursor& entry) {
    const std::string_view family = entry.node().text;
    if (family != "IPv4" && family != "IPv6") return;  // said by the table
    if (!seen.emplace(family).second) return entry.error("is given twice");
    if (family == "IPv6" && count == 1) {
      entry.error("Services have IPv4 addresses only here: write IPv4, or leave it out");
    }
  });
}

void read_selector(const Cursor& spec, ServiceItem& item) {
  item.selector_place = spec.place();
  item.selector_place.path += ".selector";
  spec.each_string("selector", [&](const Cursor& entry) {
    const std::string_view key = entry.node().key->text;
    const std::string_view problem = label_key_problem(key);
    if (!problem.empty()) entry.error(std::string(problem));
    const std::string_view wrong = label_value_problem(entry.node().text);
    if (problem.empty() && !wrong.empty()) entry.error(std::string(wrong));
    item.spec.selector.emplace(key, entry.node().text);
  });
  if (spec.has("selector") && spec.get("selector", Kind::Map) == nullptr) return;
  if (item.spec.selector.empty()) {
    spec.error_at("selector",
                  "needs at least one label of the Pods that are to be reached: a Service gets its "
                  "addresses from them only");
  }
}

}  // namespace

ServiceItem read_service(const Cursor& object) {
  ServiceItem item;
  ServiceSpec& service = item.spec;
  item.place = object.place();
  object.with("metadata", [&](const Cursor& metadata) {
    std::map<std::string, std::string> labels, annotations;
    read_metadata(metadata, false, labels, annotations);
    service.name = metadata.string("name");
    if (metadata.get("name", Kind::String) != nullptr) {
      const std::string_view problem = dns_label_problem(service.name);
      if (!problem.empty()) metadata.error_at("name", std::string(problem));
    }
  });
  service.name_space = read_name_space(object);
  object.with("spec", [&](const Cursor& spec) {
    service.headless = spec.string("clusterIP") == "None";
    service.node_ports = spec.string("type") == "NodePort";
    if (service.headless && service.node_ports) {
      spec.error_at("clusterIP", "None goes not with type: NodePort: choose one");
    }
    service.publish_not_ready = spec.boolean("publishNotReadyAddresses");
    service.keep_client = spec.string("externalTrafficPolicy") == "Local";
    if (service.keep_client && !service.node_ports) {
      spec.error_at("externalTrafficPolicy", "Local goes with type: NodePort only");
    }
    read_families(spec);
    read_selector(spec, item);
    read_ports(spec, item);
    read_affinity(spec, service);
    if (service.headless && service.affinity_seconds > 0) {
      spec.error_at("sessionAffinity", "a headless Service leaves the choice to its clients");
    }
  });
  return item;
}

}  // namespace manifest
}  // namespace wherry
