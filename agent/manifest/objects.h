#pragma once
// What a document holds, by name: for people to read.

#include <string>
#include <vector>

#include "agent/manifest/document.h"

namespace wherry {

struct ObjectName {
  std::string kind;
  std::string name;
};

// In the order of kinds, then of the document. Empty where it is not valid.
std::vector<ObjectName> objects_of(const Document& document);

}  // namespace wherry
