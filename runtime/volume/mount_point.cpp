#include "runtime/volume/mount_point.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "base/text.h"
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

// Options of a mount are one page at most, which many layers by their full paths do not fit into.
// Those that lie side by side are named from there instead: "/a/b/1/fs:/a/b/2/fs" -> "/a/b/",
// "1/fs:2/fs". An empty directory: they stay as they are.
struct Shortened {
  std::string directory;
  std::string option;
};
Shortened shorten(const std::string& lowers) {
  const std::vector<std::string> paths = split(lowers, ':');
  if (paths.empty()) return {"", lowers};
  std::string common = paths.front().substr(0, paths.front().rfind('/') + 1);
  for (const std::string& path : paths) {
    while (!path.starts_with(common)) common.erase(common.find_last_of('/', common.size() - 2) + 1);
    if (common.size() < 2) return {"", lowers};
  }
  std::vector<std::string> relative;
  relative.reserve(paths.size());
  for (const std::string& path : paths) relative.push_back(path.substr(common.size()));
  return {common, join(relative, ":")};
}

// 0, or the number of the error.
int mount_overlay(const std::string& target, const std::string& data) {
  return mount("overlay", target.c_str(), "overlay", kSafe, data.c_str()) == 0 ? 0 : errno;
}

// From `directory`, which only a thread of its own may go to: the others' paths must not change.
int mount_overlay_from(const std::string& directory, const std::string& target,
                       const std::string& data) {
  int error = EAGAIN;
  try {
    std::thread([&] {
      const bool there = unshare(CLONE_FS) == 0 && chdir(directory.c_str()) == 0;
      error = there ? mount_overlay(target, data) : errno;
    }).join();
  } catch (const std::system_error&) {  // no thread to be had
  }
  return error;
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
  constexpr std::string_view kLower = "lowerdir=";
  size_t length = 0;
  for (const std::string& option : options) length += option.size() + 1;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::string data, directory;
  for (const std::string& option : options) {
    if (option == "ro" || option == "rw") continue;
    data += data.empty() ? "" : ",";
    if (length < page || !option.starts_with(kLower)) {
      data += option;
      continue;
    }
    const Shortened shorter = shorten(option.substr(kLower.size()));
    directory = shorter.directory;
    data += std::string(kLower) + shorter.option;
  }
  if (data.size() >= page) {
    return fail(Code::FailedPrecondition, "the image has too many layers to be mounted as a volume",
                "CreateContainerConfigError");
  }
  errno =
      directory.empty() ? mount_overlay(target, data) : mount_overlay_from(directory, target, data);
  return errno == 0 ? Status() : fail_mount(target);
}

}  // namespace wherry::runtime
