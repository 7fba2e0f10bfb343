#include "runtime/volume/host_path.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

namespace wherry::runtime {
namespace {

tl::unexpected<Error> refuse(const Volume& volume, const std::string& what) {
  return fail(Code::FailedPrecondition,
              "volume " + volume.name + ": host path " + volume.host_path + " " + what,
              "CreateContainerConfigError");
}

Status create_directory(const Volume& volume) {
  const Status made = make_directories(volume.host_path);
  return made ? Status() : refuse(volume, "cannot be made: " + made.error().full());
}

Status create_file(const Volume& volume) {
  const int fd = open(volume.host_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return refuse(volume, std::string("cannot be made: ") + std::strerror(errno));
  close(fd);
  return {};
}

const char* expected_kind(HostPathType type, mode_t mode) {
  switch (type) {
    case HostPathType::Unset:
      return nullptr;
    case HostPathType::DirectoryOrCreate:
    case HostPathType::Directory:
      return S_ISDIR(mode) ? nullptr : "a directory";
    case HostPathType::FileOrCreate:
    case HostPathType::File:
      return S_ISREG(mode) ? nullptr : "a regular file";
    case HostPathType::Socket:
      return S_ISSOCK(mode) ? nullptr : "a socket";
    case HostPathType::CharDevice:
      return S_ISCHR(mode) ? nullptr : "a character device";
    case HostPathType::BlockDevice:
      return S_ISBLK(mode) ? nullptr : "a block device";
  }
  return nullptr;
}

}  // namespace

Status prepare_host_path(const Volume& volume) {
  if (!volume.host_path.starts_with('/')) {
    return fail(
        Code::InvalidArgument,
        "volume " + volume.name + ": host path \"" + volume.host_path + "\" is not absolute",
        "CreateContainerConfigError");
  }
  struct stat info {};
  if (stat(volume.host_path.c_str(), &info) != 0) {
    if (errno != ENOENT) return refuse(volume, std::string("is not usable: ") + strerror(errno));
    switch (volume.host_path_type) {
      case HostPathType::Unset:  // as containerd and Docker do for Kubernetes
      case HostPathType::DirectoryOrCreate:
        return create_directory(volume);
      case HostPathType::FileOrCreate:
        return create_file(volume);
      default:
        return refuse(volume, "does not exist");
    }
  }
  if (const char* expected = expected_kind(volume.host_path_type, info.st_mode)) {
    return refuse(volume, std::string("is not ") + expected);
  }
  return {};
}

}  // namespace wherry::runtime
