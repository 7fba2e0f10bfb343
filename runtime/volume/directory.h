#pragma once
// What lies in a directory, and mounts on it.

#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace wherry::runtime {

// The children; none where there is no such directory.
Result<std::vector<std::string>> names_in(const std::string& path);
// What is no directory, at any depth below, by relative path. Follows no links.
Result<std::set<std::string>> files_below(const std::string& path);
// Whatever is mounted there, however often: it is not any more. Success where nothing is.
Status unmount(const std::string& path);

}  // namespace wherry::runtime
