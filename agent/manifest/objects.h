#pragma once
// What a document holds, by name: for people to read.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/manifest/document.h"

namespace wherry {

struct ObjectName {
  std::string kind;
  std::string name;
};

// In the order of kinds, then of the document. Empty where it is not valid.
std::vector<ObjectName> objects_of(const Document& document);

// Of files that are read one after the other, as those of manifests.d are: an object of a later one
// replaces that of the same kind and name in an earlier one.
class ObjectsOfFiles {
 public:
  // The next file; a warning for each object that it has and an earlier one, too.
  std::vector<Finding> add(const std::string& file, const Document& document);

 private:
  std::map<std::pair<std::string, std::string>, std::string> files_;  // by kind and name
};

}  // namespace wherry
