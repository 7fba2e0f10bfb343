#pragma once
// What of Services only shows once all documents are together. Private to this room.

#include <functional>
#include <string>
#include <vector>

#include "agent/manifest/items.h"

namespace wherry::manifest {

// Of all sources: a few lines of text each, and each costs chains of the packet filter.
inline constexpr size_t kMaxServices = 250;

// A Service as chosen, and how a place in its document is called.
struct ChosenService {
  const ServiceItem* item = nullptr;
  std::string source;
  uint64_t revision = 0;
  std::function<std::string(const Place&)> path_of;
};
struct ServiceSurroundings {
  const std::vector<ChosenService>& services;  // by name
  const std::vector<const PodItem*>& pods;     // all that this device may run
  // Who takes this port of the device, in words; "" where nobody does.
  std::function<std::string(runtime::Protocol, uint16_t)> taken_by;
};

// Those without an error. Says what is wrong, and warns of those that lead nowhere.
std::vector<ServiceSpec> check_services(const ServiceSurroundings& around, Findings& findings);

// What Services choose a Pod by: its labels, and those that Kubernetes adds.
std::map<std::string, std::string> service_labels(const PodItem& pod);

}  // namespace wherry::manifest
