#pragma once
// Services: names, addresses and ports that lead to whichever Pods are given, without the agent
// being needed for it. A door of the runtime room beside runtime.h.

#include <cstdint>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

struct ServiceEndpoint {
  std::string pod;
  std::string ip;  // empty: the Pod is on the device's network
  uint16_t port = 0;
  bool operator==(const ServiceEndpoint&) const = default;
};

struct ServiceForward {
  Protocol protocol = Protocol::Tcp;
  uint16_t port = 0;
  uint16_t node_port = 0;                  // of every address of the device; 0: none
  std::vector<ServiceEndpoint> endpoints;  // take turns; none: connections are refused
  bool operator==(const ServiceForward&) const = default;
};

// A line of every Pod's /etc/hosts.
struct ServiceName {
  std::string ip;  // empty: where the reader finds the device
  std::vector<std::string> names;
  bool operator==(const ServiceName&) const = default;
};

struct ServiceRules {
  std::string name;          // unique
  std::string address;       // of ServiceOptions::subnet; empty: it has none, only names
  int affinity_seconds = 0;  // a client stays with its Pod for so long; 0: it does not
  bool keep_client = false;  // Pods see the address of who connects to a node port
  std::vector<ServiceForward> ports;
  std::vector<ServiceName> names;
  bool operator==(const ServiceRules&) const = default;
};

// A Service that is left out, so that the others work.
struct ServiceFault {
  std::string service;
  std::string message;  // what is missing, and what to do about it
  bool operator==(const ServiceFault&) const = default;
};

class Services {
 public:
  virtual ~Services() = default;
  // These and no others from now on, names and ports; all rules at once. Where nothing needs a rule
  // and none was made, no tool is called. Repairs what somebody else removed. Connections to a
  // Service that needs what the kernel does not have are refused, and the answer says which.
  // Reasons: ServicesUnavailable where the device has no iptables or its kernel cannot do any.
  virtual Result<std::vector<ServiceFault>> apply(const std::vector<ServiceRules>& services,
                                                  CancelToken cancel) = 0;
  // What the last apply() was given, in this boot, whichever agent called it.
  virtual std::vector<ServiceRules> applied() = 0;
};

}  // namespace wherry::runtime
