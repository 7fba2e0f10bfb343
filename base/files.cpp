#include "base/files.h"

#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

namespace wherry {
namespace {

Code code_of(int error) {
  switch (error) {
    case ENOENT:
      return Code::NotFound;
    case EEXIST:
      return Code::AlreadyExists;
    case EACCES:
    case EPERM:
      return Code::PermissionDenied;
    case ENOSPC:
    case EDQUOT:
      return Code::ResourceExhausted;
    default:
      return Code::Internal;
  }
}

tl::unexpected<Error> fail_errno(const std::string& what, int error) {
  return fail(code_of(error), what + ": " + std::strerror(error));
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail_errno("write " + path, errno);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

// Directories deeper than this are moved up to the top of the tree and removed from there: a
// workload chooses the depth of its own volumes, and each level costs a descriptor and a stack
// frame.
constexpr int kMaxDepth = 64;
// Someone who keeps creating files cannot keep us here: the directory is then reported as not
// empty.
constexpr int kMaxPasses = 10'000;

class TreeRemover {
 public:
  explicit TreeRemover(std::string path) : path_(std::move(path)) {}

  Status remove() {
    const Status removed = remove_entry(AT_FDCWD, path_.c_str(), path_, 0);
    if (top_ >= 0) close(top_);
    return removed;
  }

 private:
  Status remove_entry(int parent, const char* name, const std::string& shown, int depth) {
    struct statx info {};
    if (statx(parent, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &info) != 0) {
      if (errno == ENOENT) return {};
      return fail_errno("stat " + shown, errno);
    }
    if (depth == 0) major_ = info.stx_dev_major, minor_ = info.stx_dev_minor;
    // The mount-root attribute also tells bind mounts of the same file system.
    if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 || info.stx_dev_major != major_ ||
        info.stx_dev_minor != minor_) {
      return fail(Code::FailedPrecondition,
                  "remove " + shown + ": another file system is mounted there");
    }
    if (!S_ISDIR(info.stx_mode)) return unlink_entry(parent, name, 0, shown);
    if (depth == kMaxDepth) return move_up(parent, name, shown);
    return remove_directory(parent, name, shown, depth);
  }

  Status remove_directory(int parent, const char* name, const std::string& shown, int depth) {
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? Status{} : fail_errno("open " + shown, errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(fd), closedir);
    if (directory == nullptr) {
      close(fd);
      return fail_errno("open " + shown, errno);
    }
    if (depth == 0) top_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    // Again while something was found: entries may be missed by, or arrive during, one reading.
    bool found = true;
    for (int pass = 0; found && pass < kMaxPasses; ++pass) {
      found = false;
      rewinddir(directory.get());
      while (const dirent* entry = readdir(directory.get())) {
        const std::string_view child(entry->d_name);
        if (child == "." || child == "..") continue;
        found = true;
        Status removed = remove_entry(fd, entry->d_name, shown + "/" + entry->d_name, depth + 1);
        if (!removed) return removed;
      }
    }
    return unlink_entry(parent, name, AT_REMOVEDIR, shown);
  }

  Status move_up(int parent, const char* name, const std::string& shown) const {
    const std::string moved = ".removed-" + random_hex(16);
    if (top_ < 0 || renameat(parent, name, top_, moved.c_str()) != 0) {
      return fail_errno("move " + shown, errno);
    }
    return {};
  }

  static Status unlink_entry(int parent, const char* name, int flags, const std::string& shown) {
    if (unlinkat(parent, name, flags) == 0 || errno == ENOENT) return {};
    return fail_errno("remove " + shown, errno);
  }

  std::string path_;
  int top_ = -1;
  uint32_t major_ = 0, minor_ = 0;
};

}  // namespace

namespace {

Result<std::string> read_all(const Fd& fd, const std::string& path, size_t max_bytes) {
  std::string bytes;
  char buffer[16384];
  while (true) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail_errno("read " + path, errno);
    }
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(got));
    if (bytes.size() > max_bytes) {
      return fail(Code::FailedPrecondition,
                  path + " is larger than " + std::to_string(max_bytes) + " bytes");
    }
  }
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail_errno("open " + path, errno);
  struct stat info {};
  if (fstat(fd.get(), &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode))) {
    return fail(Code::FailedPrecondition, path + " is a pipe; a file is needed");
  }
  return read_all(fd, path, max_bytes);
}

Result<std::string> read_file_or_pipe(const std::string& path, size_t max_bytes) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("open " + path, errno);
  return read_all(fd, path, max_bytes);
}

Status write_file_atomic(const std::string& path, std::string_view bytes, unsigned mode) {
  const std::string temporary = path + ".tmp-" + random_hex(8);
  {
    const Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd.valid()) return fail_errno("create " + temporary, errno);
    Status written = write_all(fd.get(), bytes, temporary);
    if (written && fchmod(fd.get(), mode) != 0) written = fail_errno("chmod " + temporary, errno);
    if (written && fsync(fd.get()) != 0) written = fail_errno("sync " + temporary, errno);
    if (!written) {
      unlink(temporary.c_str());
      return written;
    }
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return fail_errno("rename to " + path, error);
  }
  return sync_directory(parent_of(path));
}

Status sync_directory(const std::string& path) {
  const Fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid() && fsync(directory.get()) == 0) return {};
  return fail_errno("sync " + path, errno);
}

Status make_directories(const std::string& path, unsigned mode) {
  size_t at = 0;
  while (at != std::string::npos) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    if (part.empty()) continue;
    if (mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return fail_errno("mkdir " + part, errno);
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return fail_errno("stat " + path, errno);
  if (!S_ISDIR(info.st_mode)) return fail(Code::FailedPrecondition, path + " is not a directory");
  return {};
}

Status remove_tree(const std::string& path) { return TreeRemover(path).remove(); }

}  // namespace wherry
