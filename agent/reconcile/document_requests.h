#pragma once
// Documents that somebody at the device hands in, and what comes of them.

#include <cstdint>
#include <string>
#include <vector>

#include "agent/manifest/document.h"

namespace wherry {

// The source of what is applied at the device itself.
inline constexpr const char* kLocalSource = "local";

struct ApplyRequest {
  std::string payload;
  // It did not come through the device's own socket: where signatures are required it needs one.
  bool from_network = false;
};

struct Applied {
  uint64_t revision = 0;
  std::string digest;           // of the payload
  bool changed = false;         // false: it is what was accepted already, or was not accepted
  std::vector<Finding> errors;  // not empty: it was not accepted, and nothing has changed
  std::vector<Finding> warnings;
};

struct PlanRequest {
  std::string payload;
  std::string source = kLocalSource;  // as whose document it is to be looked at
  bool from_network = false;          // as in ApplyRequest: else it needs no signature
};

struct Planned {
  std::vector<Finding> errors;  // not empty: it would not be accepted
  std::string json;             // else what it would come to: docs/rest.md
};

}  // namespace wherry
