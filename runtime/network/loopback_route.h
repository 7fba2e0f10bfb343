#pragma once
// Whether what comes from the loopback of the device may leave by the bridge of its Pods, and come
// back (route_localnet, ip-sysctl of the kernel's documentation): without it no port of 127.0.0.1
// can lead to a Pod. Whoever opens it has to keep packets for the loopback out that come from
// elsewhere.

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/services.h"

namespace wherry::runtime {

// Do some of them have ports of the device that lead to addresses of Pods?
bool lead_from_device_to_pods(const std::vector<ServiceRules>& services);

class LoopbackRoute {
 public:
  // `note`: a file that says what was opened; gone with a reboot, as is what it tells of.
  // `settings`: /proc/sys/net/ipv4/conf.
  LoopbackRoute(std::string note, std::string settings)
      : note_(std::move(note)), settings_(std::move(settings)) {}

  // What is open already stays somebody else's.
  Status open(const std::string& interface);
  // What open() opened, unless somebody else relies on it by now. Missing: success.
  Status close(bool still_used);

 private:
  std::string setting(const std::string& interface) const {
    return settings_ + "/" + interface + "/route_localnet";
  }
  std::string note_, settings_;
};

}  // namespace wherry::runtime
