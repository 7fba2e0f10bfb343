#pragma once
// Parts of the packet filter that some Services need and some kernels of devices do not have. A
// single rule that needs a missing one makes iptables-restore(8) refuse all rules.

#include <string>
#include <string_view>
#include <vector>

#include "runtime/services.h"

namespace wherry::runtime {

struct KernelPart {
  std::string_view module;   // xt_recent
  std::string_view purpose;  // who needs it: "ports of SCTP need"
  std::string_view mend;     // how to do without
  std::string_view match;    // of a rule of any chain of `nat`
};
// What every rule of ours needs.
extern const KernelPart kPlainPart;

std::vector<const KernelPart*> parts_needed(const ServiceRules& service);
// For `iptables-restore --noflush`: fails where the part is missing and changes nothing in any
// case. `tag` as in plan_service_rules(), which removes what a crash leaves of it.
std::string make_trial(const std::string& tag, const KernelPart& part);
// For people: what is missing, and what to do about it.
std::string without_part(const KernelPart& part);

}  // namespace wherry::runtime
