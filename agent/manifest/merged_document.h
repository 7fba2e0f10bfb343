#pragma once
// All accepted documents as one, for people to read.

#include <string>
#include <vector>

#include "agent/manifest/document.h"

namespace wherry {

// {"apiVersion":…,"kind":"DesiredState","metadata":{},"spec":{"items":[…]},"sources":[…]}: objects
// as they were written, a later source's in the place of an earlier one's of the same kind and
// name; nodeSelector leaves none out. Of a Secret only the keys are told, with null for each value.
// `sources`: each with "source", "revision", "digest", for a local manifest "file", and "items",
// the names of those of its objects that count ("Pod/web").
std::string merged_document(const std::vector<Source>& sources);

}  // namespace wherry
