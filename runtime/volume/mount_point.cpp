#include "runtime/volume/mount_point.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/volume/directory.h"

namespace wherry::runtime {
namespace {

constexpr unsigned long kSafe = MS_RDONLY | MS_NODEV | MS_NOSUID;

Status fail_mount(const std::string& target) {
  return fail(Code::Internal, "mount on " + target + ": " + std::strerror(errno));
}

Status bind_read_only(const std::string& source, const std::string& target) {
  if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail_mount(target);
  }
  if (mount(nullptr, target.c_str(), nullptr, MS_REMOUNT | MS_BIND | kSafe, nullptr) == 0)
    return {};
  Status failed = fail_mount(target);
  static_cast<void>(unmount(target));
  return failed;
}

}  // namespace

bool is_mount_point(const std::string& path) {
  struct statx info {};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &info) !=
      0) {
    return false;
  }
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

Status mount_read_only(const std::string& type, const std::string& source,
                       const std::vector<std::string>& options, const std::string& target) {
  if (type == "bind") return bind_read_only(source, target);
  if (type != "overlay") {
    return fail(Code::FailedPrecondition,
                "this snapshotter's images (" + type + ") cannot be mounted as a volume",
                "CreateContainerConfigError");
  }
  std::string data;
  for (const std::string& option : options) {
    if (option == "ro" || option == "rw") continue;
    data += (data.empty() ? "" : ",") + option;
  }
  if (data.size() >= static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    return fail(Code::FailedPrecondition, "the image has too many layers to be mounted as a volume",
                "CreateContainerConfigError");
  }
  if (mount("overlay", target.c_str(), "overlay", kSafe, data.c_str()) == 0) return {};
  return fail_mount(target);
}

}  // namespace wherry::runtime
