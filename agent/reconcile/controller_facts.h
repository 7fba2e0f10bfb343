#pragma once
// What controllers look at, and what they decide: which Pods are wanted now. They are pure
// functions of these; docs/decisions/0013-controllers.md tells why.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/manifest/controller_spec.h"
#include "agent/reconcile/memory.h"

namespace wherry {

struct ControllerFacts {
  const std::map<std::string, runtime::PodStatus>& observed;
  const std::map<std::string, WorkloadMemory>& memory;
  MonoTime now;
  WallTime wall;
  std::set<std::string> stopped = {};  // Pods that a person ordered down

  const runtime::PodStatus* pod(const std::string& name) const {
    const auto found = observed.find(name);
    return found == observed.end() ? nullptr : &found->second;
  }
  const WorkloadMemory* remembered(const std::string& name) const {
    const auto found = memory.find(name);
    return found == memory.end() ? nullptr : &found->second;
  }
};

// About one Pod of a controller.
struct PodChoice {
  std::string name;
  int index = 0;     // of a Job: which completion
  std::string hash;  // of a Job: which attempt
  Claim claim = Claim::Run;
  std::string reason{}, message{};
  bool operator==(const PodChoice&) const = default;
};

}  // namespace wherry
