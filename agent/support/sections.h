#pragma once
// The files of a bundle, each made when its turn comes. Private to this room.

#include <functional>
#include <string>
#include <vector>

#include "agent/manifest/scrubber.h"
#include "agent/support/bundle.h"

namespace wherry::support {

struct Section {
  std::string name;  // of the file
  std::function<Result<std::string>(const CancelToken&)> make;
};

inline constexpr const char* kAgentLog = "agent.log";

// All but the workloads' logs.
std::vector<Section> sections(const BundleParts& parts, const BundleWishes& wishes);
// What the agent knows of itself.
Result<std::string> events_text(const BundleParts& parts, size_t most);
Result<std::string> desired_text(const BundleParts& parts);
std::string configuration_text(const Config& config);
// What containerd has of this agent's, without the specifications, whose environment is secret.
std::vector<Section> containerd_sections(const Config& config);
// What the device says of itself.
std::vector<Section> system_sections(const BundleParts& parts, const BundleWishes& wishes);

// Everything on this device that is known to be secret.
Scrubber known_secrets(const BundleParts& parts);

}  // namespace wherry::support
