#include "runtime/pod/start_notes.h"

#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

namespace wherry::runtime {
namespace {

WallTime to_wall(const timespec& time) {
  return WallTime(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace

Result<WallTime> StartNotes::put(const std::string& id) {
  const std::string path = directory_ + "/" + id;
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 && errno == ENOENT) {
    if (Status made = make_directories(directory_, 0700); !made) return fail(made.error());
    fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }
  struct stat info {};
  const bool done = fd >= 0 && futimens(fd, nullptr) == 0 && fstat(fd, &info) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!done) return fail(Code::Internal, "write " + path + ": " + std::strerror(error));
  return to_wall(info.st_mtim);
}

std::optional<WallTime> StartNotes::get(const std::string& id) const {
  struct stat info {};
  if (stat((directory_ + "/" + id).c_str(), &info) != 0) return std::nullopt;
  return to_wall(info.st_mtim);
}

void StartNotes::erase(const std::string& id) { unlink((directory_ + "/" + id).c_str()); }

std::vector<std::string> StartNotes::list() const {
  std::vector<std::string> ids;
  DIR* directory = opendir(directory_.c_str());
  if (directory == nullptr) return ids;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') ids.emplace_back(entry->d_name);
  }
  closedir(directory);
  return ids;
}

}  // namespace wherry::runtime
