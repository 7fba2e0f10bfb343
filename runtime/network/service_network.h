#pragma once
// Services by rules of the packet filter, see docs/decisions/0014-services.md.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/network/network.h"
#include "runtime/services.h"

namespace wherry::runtime {

struct ServiceOptions {
  std::string run_dir;     // services/ in it
  std::string subnet;      // 10.90.0.0/16: the addresses of Services
  std::string names_file;  // where names are kept, see make_service_names()
};

// Thread-safe, one call at a time; blocks.
// `names_changed` is called after the names were written, before apply() returns. `network` must
// outlive it.
std::unique_ptr<Services> make_iptables_services(ServiceOptions options, PodNetwork& network,
                                                 std::function<void()> names_changed);

// ---- its parts, pure

// Lines as of hosts(5), for PodNames; the address is - where it is empty.
std::string make_service_names(const std::vector<ServiceRules>& services);

struct RulePlan {
  std::string input;  // for `iptables-restore --noflush`; empty: nothing to do
  bool any = false;   // rules are there afterwards
};
struct RuleSurroundings {
  std::string tag;  // begins the names of all our chains, of nobody else's; at most 14 characters
  std::string subnet;
  std::string device_ip;  // stands for endpoints on the device's network
  bool loopback = false;  // node ports answer on 127.0.0.1, too; see LoopbackRoute
};
// From what `iptables-save` printed.
RulePlan plan_service_rules(const std::string& saved, const RuleSurroundings& around,
                            const std::vector<ServiceRules>& services);

}  // namespace wherry::runtime
