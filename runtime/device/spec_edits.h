#pragma once
// Devices and CDI edits, put into an OCI runtime specification (runtime-spec, config-linux.md).

#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "runtime/device/cdi_spec.h"

namespace wherry::runtime {

// A device node as it is now.
struct NodeFacts {
  char type = 'c';  // c, b, u or p
  int64_t major = 0, minor = 0;
  uint32_t mode = 0, uid = 0, gid = 0;  // mode: permission bits
  std::string number() const;           // "c 188:0"
};
// Follows links. NotFound where there is nothing, InvalidArgument where it is no device node.
Result<NodeFacts> read_node(const std::string& path);

// In place of whatever had that path; the cgroup's rules allow `permissions` (r, w, m).
void add_node(nlohmann::json& spec, const std::string& path, const NodeFacts& facts,
              const std::string& permissions);

// The first device node that the edits take from the host and that is not there; "" where none is
// missing.
std::string missing_node(const CdiEdits& edits);

// SPEC.md, "CDI JSON Specification". `spec` is one of make_oci_spec(). Errors: NotFound with
// reason WaitingForDevice for a node that the host does not have.
Status apply_edits(const CdiEdits& edits, nlohmann::json& spec);

}  // namespace wherry::runtime
