#pragma once
// The CDI devices of this machine, as the files in its directories say.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device/cdi_spec.h"

namespace wherry::runtime {

struct CdiDevice {
  std::shared_ptr<const CdiSpec> spec;
  std::string name;  // in the spec
  std::string file;
  const CdiEdits& edits() const { return spec->devices.at(name); }
};

struct CdiRegistry {
  std::map<std::string, CdiDevice> devices;  // by qualified name
  std::vector<std::string> errors;           // "<file>: <place>: …", one line each
  // Names that two files of one directory claim: nobody gets them.
  std::map<std::string, std::string> disputed;
};

// *.json and *.yaml of each directory, but not below it. A device of a later directory wins over
// one of the same name of an earlier one. A file that cannot be read is an error and hides no
// other.
CdiRegistry read_cdi(const std::vector<std::string>& dirs);
// Which files those are, and as of when: while it is the same, so is what they say.
std::string cdi_files_state(const std::vector<std::string>& dirs);

}  // namespace wherry::runtime
