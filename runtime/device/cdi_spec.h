#pragma once
// A specification of the Container Device Interface (cncf-tags/container-device-interface, SPEC.md,
// versions 0.1.0 to 0.8.0): what a container's OCI specification gets for each device of a kind.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wherry::runtime {

struct CdiNode {
  std::string path;                     // in the container
  std::string host_path;                // "": the same
  std::string type;                     // b, c, u or p; "": as the host's
  std::optional<int64_t> major, minor;  // none: the host's
  std::optional<uint32_t> file_mode, uid, gid;
  std::string permissions;  // of r, w and m; "": rwm
  bool operator==(const CdiNode&) const = default;
};

struct CdiMount {
  std::string host_path, container_path, type;
  std::vector<std::string> options;
  bool operator==(const CdiMount&) const = default;
};

struct CdiHook {
  std::string name;  // as in config.md#posix-platform-hooks
  std::string path;
  std::vector<std::string> args, env;
  std::optional<int64_t> timeout;  // seconds
  bool operator==(const CdiHook&) const = default;
};

struct CdiEdits {
  std::vector<std::string> env;  // NAME=value
  std::vector<CdiNode> nodes;
  std::vector<CdiMount> mounts;
  std::vector<CdiHook> hooks;
  std::vector<uint32_t> additional_gids;
  bool operator==(const CdiEdits&) const = default;
};

struct CdiSpec {
  std::string kind;                         // "vendor.com/class"
  CdiEdits edits;                           // for every device
  std::map<std::string, CdiEdits> devices;  // by name
  bool operator==(const CdiSpec&) const = default;
};

// InvalidArgument names the place ("line 3" or "devices[0].containerEdits.env[1]") and the mend, in
// one line. Refused, as it could not be honoured: intelRdt.
Result<CdiSpec> parse_cdi_spec(std::string_view text, bool yaml);

struct CdiName {
  std::string kind, device;  // no device: all of the kind
};
// "vendor.com/class=name", or, with `whole_kind`, "vendor.com/class".
Result<CdiName> parse_cdi_name(std::string_view text, bool whole_kind);

}  // namespace wherry::runtime
