#pragma once
// What wherryd can tell of a device where no agent runs, for wherry check and wherry
// support-bundle. Each prints to standard output and returns the program's exit code.

#include <string>
#include <vector>

namespace wherry {

struct Outside {
  std::string config_file;
  std::vector<std::string> sets;  // --set
  std::string helper_dir;         // as check::Subject
};

// docs/rest.md, GET /v1/check. 1 where something is to be mended.
int check_device(const Outside& outside);
// A tar.gz: the check, the configuration, containerd's view and the device's.
int bundle_device(const Outside& outside);

}  // namespace wherry
