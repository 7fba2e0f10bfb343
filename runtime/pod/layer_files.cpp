#include "runtime/pod/layer_files.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

namespace wherry::runtime {
namespace {

constexpr size_t kMaxFile = 1 << 20;

int open_in(const std::string& directory, const std::string& path) {
  const int root = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const long fd = syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
  close(root);
  return static_cast<int>(fd);
}

// Overlayfs marks what an upper layer deletes with a character device 0/0 of that name.
bool is_whiteout(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == 0;
}

std::string read_regular(int fd) {
  struct stat info {};
  std::string bytes;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return bytes;
  char buffer[16 << 10];
  ssize_t got = 0;
  while (bytes.size() < kMaxFile && (got = read(fd, buffer, sizeof buffer)) > 0) {
    bytes.append(buffer, static_cast<size_t>(got));
  }
  return bytes;
}

}  // namespace

Result<std::vector<std::string>> layer_directories(const std::vector<Mount>& mounts) {
  constexpr std::string_view kLower = "lowerdir=";
  if (mounts.size() == 1 && mounts[0].type == "bind") {
    return std::vector<std::string>{mounts[0].source};
  }
  if (mounts.size() == 1 && mounts[0].type == "overlay") {
    for (const std::string& option : mounts[0].options) {
      if (option.starts_with(kLower)) return split(option.substr(kLower.size()), ':');
    }
  }
  return fail(Code::FailedPrecondition,
              "this snapshotter's file systems cannot be read without mounting them");
}

std::string read_from_layers(const std::vector<std::string>& directories, const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/'));
  for (const std::string& directory : directories) {
    const int fd = open_in(directory, path);
    if (fd >= 0) {
      std::string bytes = read_regular(fd);
      close(fd);
      return bytes;
    }
    if (is_whiteout(directory + "/" + path) || is_whiteout(directory + "/" + parent)) break;
  }
  return {};
}

}  // namespace wherry::runtime
