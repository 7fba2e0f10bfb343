#include "base/file_access.h"

#include <sys/stat.h>
#include <unistd.h>

namespace wherry {
namespace {

// `forbidden`: bits that the mode may not have.
std::optional<FileFault> fault_of(const std::string& path, bool directory, mode_t forbidden,
                                  const char* whom, const char* mend) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  // First: a mode that is good for a file would lock a directory.
  if (!directory && S_ISDIR(info.st_mode)) {
    return FileFault{path, "is a directory; a file is needed",
                     "put one in its place, or name another", false};
  }
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return FileFault{path, "belongs to another user, who could change it", "chown root " + path};
  }
  if ((info.st_mode & forbidden) == 0) return std::nullopt;
  return FileFault{path, whom, std::string(mend) + " " + path};
}

}  // namespace

std::optional<FileFault> private_file_fault(const std::string& path) {
  return fault_of(path, false, S_IRWXO | S_IWGRP, "may be read or changed by other users",
                  "chmod 600");
}

std::optional<FileFault> own_file_fault(const std::string& path) {
  return fault_of(path, false, S_IRWXO | S_IRWXG, "may be read or changed by other users",
                  "chmod 600");
}

std::optional<FileFault> rule_file_fault(const std::string& path) {
  return fault_of(path, false, S_IWGRP | S_IWOTH, "may be changed by other users", "chmod go-w");
}

std::optional<FileFault> rule_directory_fault(const std::string& path) {
  return fault_of(path, true, S_IWGRP | S_IWOTH, "may be changed by other users", "chmod go-w");
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace wherry
