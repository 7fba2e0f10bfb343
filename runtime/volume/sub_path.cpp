#include "runtime/volume/sub_path.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/files.h"
#include "runtime/volume/directory.h"

namespace wherry::runtime {
namespace {

constexpr int kTries = 8;  // the kernel gives up when a rename is under way

tl::unexpected<Error> refuse(const std::string& sub_path, const std::string& why) {
  return fail(Code::FailedPrecondition, "subPath " + sub_path + " " + why,
              "CreateContainerConfigError");
}

// Never leaves the directory, whatever links there are; negative with errno set.
int open_beneath(int root, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int tries = 0; tries < kTries; ++tries) {
    fd = syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return static_cast<int>(fd);
}

Status explain(const std::string& sub_path) {
  if (errno == EXDEV) return refuse(sub_path, "leads out of the volume by a symbolic link");
  return refuse(sub_path, std::string("cannot be used: ") + std::strerror(errno));
}

Status make_steps(int root, const std::string& sub_path) {
  struct stat info {};
  if (fstat(root, &info) != 0) return explain(sub_path);
  std::string parent = ".";
  for (size_t at = 0; at < sub_path.size();) {
    const size_t slash = std::min(sub_path.find('/', at), sub_path.size());
    const std::string step = sub_path.substr(at, slash - at);
    at = slash + 1;
    if (step.empty() || step == ".") continue;
    const Fd above(open_beneath(root, parent, O_DIRECTORY));
    if (!above.valid()) return explain(sub_path);
    if (mkdirat(above.get(), step.c_str(), info.st_mode & 07777) == 0) {
      const Fd made(open_beneath(above.get(), step, O_DIRECTORY));
      const std::string self = "/proc/self/fd/" + std::to_string(made.get());
      if (!made.valid() || chmod(self.c_str(), info.st_mode & 07777) != 0) {  // umask
        return explain(sub_path);
      }
    } else if (errno != EEXIST) {
      return explain(sub_path);
    }
    parent += "/" + step;
  }
  return {};
}

Status make_target(const std::string& target, bool directory) {
  struct stat info {};
  if (lstat(target.c_str(), &info) == 0 && S_ISDIR(info.st_mode) != directory) {
    if (Status removed = remove_tree(target); !removed) return removed;
  }
  if (directory) return make_directories(target, 0700);
  if (Status made = make_directories(target.substr(0, target.rfind('/')), 0700); !made) return made;
  const Fd file(open(target.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.valid()) return {};
  return fail(Code::Internal, "make " + target + ": " + std::strerror(errno));
}

}  // namespace

Status bind_sub_path(const std::string& root, const std::string& sub_path, bool may_create,
                     const std::string& target) {
  if (Status gone = unmount(target); !gone) return gone;
  const Fd volume(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!volume.valid()) return refuse(sub_path, "needs a volume that is a directory");
  Fd part(open_beneath(volume.get(), sub_path, 0));
  if (!part.valid() && errno == ENOENT) {
    if (!may_create) return refuse(sub_path, "is not in the volume");
    if (Status made = make_steps(volume.get(), sub_path); !made) return made;
    part = Fd(open_beneath(volume.get(), sub_path, 0));
  }
  if (!part.valid()) return explain(sub_path);
  struct stat info {};
  if (fstat(part.get(), &info) != 0) return explain(sub_path);
  if (Status made = make_target(target, S_ISDIR(info.st_mode)); !made) return made;
  if (Status ok = failpoint("volume.subpath.found"); !ok) return ok;
  // By descriptor: what was looked at is what is mounted.
  const std::string source = "/proc/self/fd/" + std::to_string(part.get());
  if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail(Code::Internal, "bind " + target + ": " + std::strerror(errno));
  }
  return failpoint("volume.subpath.bound");
}

}  // namespace wherry::runtime
