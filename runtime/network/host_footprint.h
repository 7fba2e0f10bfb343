#pragma once
// What CNI plugins make on the host for all Pods together and never remove: the bridge, portmap's
// chains. Remembered before the first Pod, so that it can be removed after the last, and only
// where it was not there before us.

#include <string>
#include <vector>

#include "base/result.h"

namespace wherry::runtime {

// Not thread-safe: the caller takes turns.
class HostFootprint {
 public:
  // `state_path`: the file to remember in. `id_suffix` ends the CNI container id of every Pod of
  // this agent and of nobody else's.
  HostFootprint(std::string state_path, std::string id_suffix);

  // Before an ADD. `bridges`: those the plugins would make; `host_ports`: portmap has work to do.
  // Costs a process or two at the first Pod with host ports, else a small file at most.
  Status remember(const std::vector<std::string>& bridges, bool host_ports);
  // After the last DEL. Missing things are fine; what somebody else uses meanwhile stays.
  Status restore();

 private:
  std::string state_path_;
  std::string id_suffix_;
};

// The input for `iptables-restore --noflush` that removes, from what `iptables-save -t nat`
// printed, the rules and chains of containers whose id ends in `id_suffix` and, with
// `host_port_chains`, the chains that portmap shares among all, provided that nobody else has a
// rule in them. Empty where there is nothing to do.
std::string plan_iptables_cleanup(const std::string& saved, const std::string& id_suffix,
                                  bool host_port_chains);

}  // namespace wherry::runtime
