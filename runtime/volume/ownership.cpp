#include "runtime/volume/ownership.h"

#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

namespace wherry::runtime {
namespace {

constexpr mode_t kFile = 0660;
constexpr mode_t kDirectory = 0770 | S_ISGID;

tl::unexpected<Error> fail_errno(const std::string& what) {
  return fail(Code::Internal, what + ": " + std::strerror(errno));
}

// By descriptor, so that a link put in the way is never followed. `fd` is of O_PATH.
Status give(int fd, const struct stat& info, gid_t group, const std::string& shown) {
  if (info.st_gid != group && fchownat(fd, "", static_cast<uid_t>(-1), group, AT_EMPTY_PATH) != 0) {
    return fail_errno("give " + shown + " to the group");
  }
  if (S_ISLNK(info.st_mode)) return {};
  const mode_t wanted = (info.st_mode & 07777) | (S_ISDIR(info.st_mode) ? kDirectory : kFile);
  // A change of owner takes the set-ID bits away, so this comes last.
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  if (chmod(self.c_str(), wanted) != 0) return fail_errno("change the mode of " + shown);
  return {};
}

// The workload decides how deep it is, so the depth is bounded.
class Walker {
 public:
  Walker(std::string top, gid_t group) : top_(std::move(top)), group_(group) {}

  Status run() {
    const Fd top(open(top_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (!top.valid() || fstat(top.get(), &info) != 0) return fail_errno("open " + top_);
    device_ = info.st_dev;
    if (Status done = below(top.get()); !done) return done;
    return give(top.get(), info, group_, top_);  // last: it says that all is done
  }

 private:
  Status below(int directory_fd) {
    const int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_errno("open a directory of " + top_);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(fd), closedir);
    if (directory == nullptr) {
      close(fd);
      return fail_errno("open a directory of " + top_);
    }
    while (const dirent* entry = readdir(directory.get())) {
      const std::string_view name(entry->d_name);
      if (name == "." || name == "..") continue;
      if (Status done = one(fd, entry->d_name); !done) return done;
    }
    return {};
  }

  Status one(int parent, const char* name) {
    const Fd entry(openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!entry.valid() || fstat(entry.get(), &info) != 0) {
      return errno == ENOENT ? Status() : Status(fail_errno("look into " + top_));
    }
    if (info.st_dev != device_) return {};
    if (S_ISDIR(info.st_mode)) {
      if (++depth_ > kMaxDepth) {
        return fail(Code::FailedPrecondition, top_ + " is deeper than fsGroup can reach");
      }
      if (Status done = below(entry.get()); !done) return done;
      --depth_;
    }
    return give(entry.get(), info, group_, top_);
  }

  static constexpr int kMaxDepth = 200;
  const std::string top_;
  const gid_t group_;
  dev_t device_ = 0;
  int depth_ = 0;
};

}  // namespace

Status give_to_group(const std::string& path, int64_t group, bool if_needed) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return fail_errno("look at " + path);
  const auto gid = static_cast<gid_t>(group);
  const bool fits = info.st_gid == gid && (info.st_mode & kDirectory) == kDirectory;
  if (if_needed && fits) return {};
  return Walker(path, gid).run();
}

}  // namespace wherry::runtime
