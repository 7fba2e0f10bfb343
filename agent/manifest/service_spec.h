#pragma once
// A Service: a name and a port that lead to the ready ones among some Pods of this device
// (docs/decisions/0014-services.md).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/manifest/workload_spec.h"

namespace wherry {

struct ServicePort {
  std::string name;  // empty only where it is the only one
  runtime::Protocol protocol = runtime::Protocol::Tcp;
  uint16_t port = 0;
  uint16_t target = 0;      // of the container; 0: it is named
  std::string target_name;  // … a name of a containerPort
  uint16_t node_port = 0;   // asked for; 0: the agent chooses one, where node_ports
};

struct ServiceSpec {
  std::string name;
  std::string name_space = "default";  // for its names only: a device has one namespace
  std::string source;
  uint64_t revision = 0;
  std::string path;                             // where the documents have it, for findings
  std::map<std::string, std::string> selector;  // not empty
  std::vector<ServicePort> ports;
  bool headless = false;           // its name stands for the Pods' own addresses
  bool node_ports = false;         // it also has ports of the device
  bool publish_not_ready = false;  // Pods that are not ready get traffic, too
  bool keep_client = false;        // externalTrafficPolicy: Local
  int affinity_seconds = 0;        // sessionAffinity: ClientIP; 0: none
};

// What stands for $(NAME_SERVICE_HOST) and $(NAME_SERVICE_PORT…) until a container is started, with
// NAME_… after it, up to the next such character. No text that a person writes has one.
inline constexpr std::string_view kServiceVariableMark = "\x01service:";
inline constexpr char kServiceVariableEnd = '\x01';

// Does it choose a Pod with these labels?
bool selects(const ServiceSpec& service, const std::map<std::string, std::string>& labels);
// The port of the Pod that `port` leads to; 0 where the Pod has none of that name.
uint16_t target_of(const ServicePort& port, const WorkloadSpec& pod);

}  // namespace wherry
