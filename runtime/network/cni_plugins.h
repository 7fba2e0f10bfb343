#pragma once
// Execution of the plugins of a network list (CNI specification, sections 2 to 4).

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "runtime/types.h"

namespace wherry::runtime {

// What all plugins of one attachment are told.
struct CniAttachment {
  std::string list;  // as parse_network_list gives it
  std::string bin_dir;
  std::string container_id;  // [a-zA-Z0-9][a-zA-Z0-9_.-]*
  std::string netns;         // path
  std::string interface = "eth0";
  std::vector<PortMapping> ports;
  int held_fd = -1;  // see ProcessCall
};

// ADD, in order; the last plugin's result as JSON text. Each plugin has 30 s. Nothing is undone on
// failure: the caller runs cni_del. Unavailable where a plugin asks to try again later,
// AlreadyExists where another made what the plugin was about to make: at once may do.
Result<std::string> cni_add(const CniAttachment& attachment, const CancelToken& cancel);

// DEL, in reverse order, all of them even where one fails; the first error. `result` is ADD's, or
// empty where ADD did not get that far.
Status cni_del(const CniAttachment& attachment, const std::string& result);

// The first address of a result, without prefix length; empty where there is none.
std::string first_address(const std::string& result);
// Its gateway; empty where there is none.
std::string first_gateway(const std::string& result);

}  // namespace wherry::runtime
