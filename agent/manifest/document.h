#pragma once
// Documents: bytes in, validated DesiredState out; several of them merged into workloads.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/manifest/controller_spec.h"
#include "agent/manifest/service_spec.h"
#include "agent/manifest/workload_spec.h"
#include "base/result.h"

namespace wherry {

inline constexpr size_t kMaxDocumentBytes = 1u << 20;

// One thing wrong, or worth a warning. `path` as in spec.items[0].spec.containers[0].image.
struct Finding {
  std::string path;
  std::string message;
  int line = 0;  // 1-based; 0 where unknown
  int column = 0;
};

struct ParsedItems;  // the validated objects, private to the manifest room

// An accepted or rejected document. `errors` empty means it is valid.
struct Document {
  uint64_t revision = 0;
  std::string target;  // "" or devices/… or groups/…
  std::optional<WallTime> expires;
  std::string digest;  // sha256 of the payload bytes
  std::shared_ptr<const ParsedItems> items;
  std::shared_ptr<const std::string> text;  // the payload, where it is valid
  std::vector<Finding> errors;
  std::vector<Finding> warnings;
  bool valid() const { return errors.empty(); }
};

// Parses and validates a DesiredState (YAML or JSON) on its own: everything that can be known
// without the other sources. Never throws; collects every error (at most 100, then says so).
Document parse_desired_state(std::string_view payload);
// The same for a local manifest file, which may also hold plain Kubernetes objects (one or several
// YAML documents, or a List) without the envelope; revision is then 0.
Document parse_local_manifest(std::string_view payload, const std::string& file_name);

struct Source {
  std::string name;  // "manifests", "groups/<g>", "devices/<id>", "local"
  const Document* document;
};
struct DeviceFacts {
  std::string hostname;
  std::string arch;  // kubernetes.io/arch: amd64, arm64, arm
  std::map<std::string, std::string> labels;
  int64_t cpu_milli = 1000;  // what the device has
  int64_t memory_bytes = 0;
  // The disk of the state directory, and what workloads leave free of it; 0: not known.
  int64_t disk_bytes = 0;
  int64_t disk_reserve = 0;
  std::set<std::string> runtime_classes{};
  bool any = false;  // no particular device (wherry validate): nodeSelector leaves nothing out
};
struct Merged {
  std::vector<WorkloadSpec> workloads;      // sorted by name; those with an error, and those that
                                            // depend on them, are left out. With the Pods of
                                            // Deployments, DaemonSets and StatefulSets
  std::vector<ControllerSpec> controllers;  // sorted by kind and name
  std::vector<ServiceSpec> services;        // sorted by name; those with an error are left out
  // Ports of the device that Pods take.
  std::set<std::pair<runtime::Protocol, uint16_t>> device_ports;
  std::vector<Finding> errors;    // conflicts between sources: missing ConfigMap, port taken twice,
                                  // unknown dependency, cycle; `path` is "<source>:<path>", or
                                  // "<source>/<file>:<path>" for local manifests
  std::vector<Finding> warnings;  // missing imagePullSecrets; `path` likewise
  std::map<std::string, std::string>
      not_here;  // workloads left out by nodeSelector, with the reason
};
// Later sources replace items of the same kind and name. Pure.
Merged merge(const std::vector<Source>& sources, const DeviceFacts& facts);

}  // namespace wherry
