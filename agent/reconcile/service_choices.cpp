#include "agent/reconcile/service_choices.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <optional>
#include <set>

#include "base/digest.h"

namespace wherry {
namespace {

constexpr uint32_t kFirstNodePort = 30000, kNodePorts = 2768;

// The same number for the same text, on every device.
uint32_t number_of(const std::string& text) {
  uint32_t number = 0;
  const std::string hex = sha256_hex(text).substr(0, 8);
  std::from_chars(hex.data(), hex.data() + hex.size(), number, 16);
  return number;
}

struct Subnet {
  uint32_t first = 0;  // address that may be given out
  uint32_t count = 0;

  std::optional<uint32_t> index_of(const std::string& text) const {
    in_addr address{};
    if (inet_pton(AF_INET, text.c_str(), &address) != 1) return {};
    const uint32_t index = ntohl(address.s_addr) - first;
    if (index >= count) return {};
    return index;
  }
  std::string at(uint32_t index) const {
    const in_addr address{htonl(first + index)};
    char text[INET_ADDRSTRLEN] = {};
    inet_ntop(AF_INET, &address, text, sizeof text);
    return text;
  }
};

// Without its own address and the broadcast one.
Subnet parse(const std::string& text) {
  const size_t slash = text.find('/');
  in_addr address{};
  unsigned bits = 32;
  if (slash == std::string::npos ||
      inet_pton(AF_INET, text.substr(0, slash).c_str(), &address) != 1) {
    return {};
  }
  std::from_chars(text.data() + slash + 1, text.data() + text.size(), bits);
  if (bits < 1 || bits > 30) return {};
  return {ntohl(address.s_addr) + 1, (uint32_t{1} << (32 - bits)) - 2};
}

// The first free one from where its name points to.
template <typename Taken>
std::optional<uint32_t> first_free(const std::string& name, uint32_t count, Taken taken) {
  if (count == 0) return {};
  const uint32_t start = number_of(name) % count;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t index = (start + i) % count;
    if (!taken(index)) return index;
  }
  return {};
}

class Chooser {
 public:
  Chooser(const Merged& merged, const std::vector<ServiceRecord>& before,
          const std::vector<ServiceRecord>& kept, const std::string& subnet)
      : merged_(merged), subnet_(parse(subnet)) {
    for (const ServiceRecord& record : kept) {
      if (const auto index = subnet_.index_of(record.address)) addresses_.insert(*index);
      for (const auto& [key, port] : record.node_ports) {
        for (const auto protocol :
             {runtime::Protocol::Tcp, runtime::Protocol::Udp, runtime::Protocol::Sctp}) {
          ports_.emplace(protocol, port);
        }
      }
    }
    for (const ServiceRecord& record : before) before_[record.name] = &record;
    for (const auto& port : merged.device_ports) ports_.insert(port);
    for (const ServiceSpec& service : merged.services) {
      for (const ServicePort& port : service.ports) {
        if (port.node_port != 0) ports_.emplace(port.protocol, port.node_port);
      }
    }
  }

  std::vector<ServiceRecord> run() {
    std::vector<ServiceRecord> records;
    for (const ServiceSpec& service : merged_.services) {
      records.push_back({service.name, service.source, "", {}});
      keep(service, records.back());
    }
    for (size_t i = 0; i < records.size(); ++i) fill(merged_.services[i], records[i]);
    return records;
  }

 private:
  void keep(const ServiceSpec& service, ServiceRecord& record) {
    const auto found = before_.find(service.name);
    if (found == before_.end()) return;
    const ServiceRecord& old = *found->second;
    const auto index = subnet_.index_of(old.address);
    if (!service.headless && index && addresses_.insert(*index).second) {
      record.address = old.address;
    }
    for (const ServicePort& port : service.ports) {
      const auto known = old.node_ports.find(port_key(port));
      if (!service.node_ports || port.node_port != 0 || known == old.node_ports.end()) continue;
      if (ports_.emplace(port.protocol, known->second).second) record.node_ports.insert(*known);
    }
  }

  void fill(const ServiceSpec& service, ServiceRecord& record) {
    if (!service.headless && record.address.empty()) {
      const auto index = first_free(service.name, subnet_.count,
                                    [&](uint32_t i) { return addresses_.contains(i); });
      if (index) addresses_.insert(*index);
      if (index) record.address = subnet_.at(*index);
    }
    for (const ServicePort& port : service.ports) {
      const std::string key = port_key(port);
      if (!service.node_ports || record.node_ports.contains(key)) continue;
      if (port.node_port != 0) {
        record.node_ports[key] = port.node_port;
        continue;
      }
      const auto at = [](uint32_t index) { return static_cast<uint16_t>(kFirstNodePort + index); };
      const auto free = first_free(service.name + "/" + key, kNodePorts, [&](uint32_t i) {
        return ports_.contains({port.protocol, at(i)});
      });
      if (!free) continue;
      ports_.emplace(port.protocol, at(*free));
      record.node_ports[key] = at(*free);
    }
  }

  const Merged& merged_;
  const Subnet subnet_;
  std::map<std::string, const ServiceRecord*> before_;
  std::set<uint32_t> addresses_;
  std::set<std::pair<runtime::Protocol, uint16_t>> ports_;
};

std::string upper(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c == '-') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::string lower(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

std::string_view to_string(runtime::Protocol protocol) {
  switch (protocol) {
    case runtime::Protocol::Udp:
      return "UDP";
    case runtime::Protocol::Sctp:
      return "SCTP";
    case runtime::Protocol::Tcp:
      break;
  }
  return "TCP";
}

std::string port_key(const ServicePort& port) {
  return std::to_string(port.port) + "/" + std::string(to_string(port.protocol));
}

std::vector<ServiceRecord> choose(const Merged& merged, const std::vector<ServiceRecord>& before,
                                  const std::vector<ServiceRecord>& kept,
                                  const std::string& subnet) {
  return Chooser(merged, before, kept, subnet).run();
}

std::vector<std::pair<std::string, std::string>> service_environment(
    const std::vector<ServiceSpec>& services, const std::vector<ServiceRecord>& records) {
  std::vector<std::pair<std::string, std::string>> all;
  for (size_t i = 0; i < services.size() && i < records.size(); ++i) {
    const std::string& address = records[i].address;
    const std::vector<ServicePort>& ports = services[i].ports;
    if (address.empty() || ports.empty()) continue;
    const std::string name = upper(services[i].name);
    all.emplace_back(name + "_SERVICE_HOST", address);
    all.emplace_back(name + "_SERVICE_PORT", std::to_string(ports[0].port));
    for (const ServicePort& port : ports) {
      if (port.name.empty()) continue;
      all.emplace_back(name + "_SERVICE_PORT_" + upper(port.name), std::to_string(port.port));
    }
    // As Docker's links had them.
    for (const ServicePort& port : ports) {
      const std::string number = std::to_string(port.port);
      const std::string protocol(to_string(port.protocol));
      const std::string url = lower(protocol) + "://" + address + ":" + number;
      const std::string start = name + "_PORT_" + number + "_" + protocol;
      if (&port == ports.data()) all.emplace_back(name + "_PORT", url);
      all.emplace_back(start, url);
      all.emplace_back(start + "_PROTO", lower(protocol));
      all.emplace_back(start + "_PORT", number);
      all.emplace_back(start + "_ADDR", address);
    }
  }
  return all;
}

void fill_service_variables(const std::vector<std::pair<std::string, std::string>>& all,
                            std::string& text) {
  size_t at = 0;
  while ((at = text.find(kServiceVariableMark, at)) != std::string::npos) {
    const size_t start = at + kServiceVariableMark.size();
    const size_t end = text.find(kServiceVariableEnd, start);
    if (end == std::string::npos) return;
    const std::string name = text.substr(start, end - start);
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.first == name; });
    const std::string value = found == all.end() ? "$(" + name + ")" : found->second;
    text.replace(at, end + 1 - at, value);
    at += value.size();
  }
}

}  // namespace wherry
