#include "runtime/volume/directory.h"

#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <memory>
#include <sys/mount.h>
#include <sys/stat.h>

namespace wherry::runtime {
namespace {

constexpr int kMaxDepth = 64;  // names of documents are at most 1024 bytes, and ours are flat

tl::unexpected<Error> fail_errno(const std::string& what) {
  return fail(Code::Internal, what + ": " + std::strerror(errno));
}

Status collect(const std::string& path, const std::string& prefix, int depth,
               std::set<std::string>& into) {
  const Result<std::vector<std::string>> names = names_in(path);
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    struct stat info {};
    const std::string child = path + "/" + name;
    if (lstat(child.c_str(), &info) != 0) return fail_errno("look at " + child);
    if (!S_ISDIR(info.st_mode)) {
      into.insert(prefix + name);
    } else if (depth == kMaxDepth) {
      return fail(Code::FailedPrecondition, child + " is too deep");
    } else if (Status done = collect(child, prefix + name + "/", depth + 1, into); !done) {
      return done;
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> names_in(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (directory == nullptr) {
    if (errno == ENOENT) return names;
    return fail_errno("open " + path);
  }
  while (const dirent* entry = readdir(directory.get())) {
    const std::string name(entry->d_name);
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

Result<std::set<std::string>> files_below(const std::string& path) {
  std::set<std::string> files;
  if (Status done = collect(path, "", 0, files); !done) return fail(done.error());
  return files;
}

Status unmount(const std::string& path) {
  while (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  // EINVAL: it is no mount point.
  if (errno == EINVAL || errno == ENOENT) return {};
  return fail_errno("unmount " + path);
}

}  // namespace wherry::runtime
