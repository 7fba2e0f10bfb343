#pragma once
// CNI network configuration lists (CNI specification, section 1). A list is kept as JSON text in
// the form of a conflist: {"cniVersion", "name", "plugins": […]}.

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/network/network.h"

namespace wherry::runtime {

// A conflist as it is, a single configuration as a list of one. InvalidArgument says what is wrong.
Result<std::string> parse_network_list(const std::string& text);

// The first valid *.conflist, *.conf or *.json by name in cni_conf_dir; where there is none, ours,
// which is written there. Invalid files are passed over with a warning; where all are invalid, that
// is the error.
Result<std::string> load_network_list(const NetworkOptions& options);

// What load_network_list() would give, without writing anything.
struct NetworkList {
  std::string list;
  std::string file;                      // where it is; empty: ours, which is not written yet
  std::vector<std::string> passed_over;  // "<file>: <what is wrong with it>"
};
Result<NetworkList> find_network_list(const NetworkOptions& options);

// Our own list: a bridge with masquerading, addresses from host-local kept below run_dir, portmap.
std::string default_network_list(const NetworkOptions& options);

// The bridges that the list's plugins would make where they do not exist.
std::vector<std::string> bridges_of(const std::string& list);
// Whether any plugin declares this capability (section "Section 3, capabilities").
bool has_capability(const std::string& list, const std::string& capability);

}  // namespace wherry::runtime
