#include "runtime/containerd/layer_disk.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace wherry::runtime {
namespace {

// Where what is written through the mounts ends up; empty where that is no directory.
std::string directory_of(const std::vector<Mount>& mounts) {
  if (mounts.size() != 1) return {};
  const Mount& mount = mounts.front();
  if (mount.type == "bind") return mount.source;
  constexpr std::string_view kUpper = "upperdir=";
  for (const std::string& option : mount.options) {
    if (option.starts_with(kUpper)) return option.substr(kUpper.size());
  }
  return {};
}

}  // namespace

LayerDisk::LayerDisk(const std::vector<Mount>& mounts)
    : directory_(open(directory_of(mounts).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

Status LayerDisk::sync() const {
  if (!directory_.valid()) {
    ::sync();
    return {};
  }
  if (syncfs(directory_.get()) == 0) return {};
  const bool full = errno == ENOSPC || errno == EDQUOT;
  return fail(full ? Code::ResourceExhausted : Code::DataLoss,
              std::string("write the unpacked layer to the disk: ") + std::strerror(errno),
              full ? kDiskFull : "");
}

}  // namespace wherry::runtime
