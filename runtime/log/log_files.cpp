#include "runtime/log/log_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <vector>

#include "runtime/log/logger/rotating_file.h"

namespace wherry::runtime {

// From the newest name to older ones, so that a rotation meanwhile shows a file twice rather than
// hiding one; an open file keeps its inode number from being used again.
Result<bool> LogFiles::look() {
  std::vector<File> newest_first;
  bool met = files_.empty();
  Status result;
  for (int n = 0; n < logger::kFiles; ++n) {
    char name[logger::kMaxPath];
    logger::numbered_path(path_.c_str(), n, name);
    File file{Fd(open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW))};
    struct stat info {};
    if (!file.fd.valid() || fstat(file.fd.get(), &info) != 0) {
      if (errno == ENOENT) continue;
      result = fail(Code::Internal, std::string("open ") + name + ": " + std::strerror(errno));
      break;
    }
    file.inode = info.st_ino;
    if (!files_.empty() && file.inode == files_.back().inode) {
      met = true;
      break;
    }
    const bool seen = std::any_of(newest_first.begin(), newest_first.end(),
                                  [&](const File& other) { return file.inode == other.inode; });
    if (!seen) newest_first.push_back(std::move(file));
  }
  const bool gap = !met && newest_first.size() == logger::kFiles;
  for (auto file = newest_first.rbegin(); file != newest_first.rend(); ++file) {
    files_.push_back(std::move(*file));
  }
  if (!result) return fail(result.error());
  return gap;
}

bool LogFiles::read_onto(std::string& text, size_t most) {
  File& file = files_.front();
  const size_t before = text.size();
  text.resize(before + most);
  const size_t got = read_at(file.fd.get(), text.data() + before, most, file.offset);
  text.resize(before + got);
  file.offset += static_cast<off_t>(got);
  return got > 0;
}

size_t read_at(int fd, char* into, size_t size, off_t offset) {
  ssize_t got = 0;
  do {
    got = pread(fd, into, size, offset);
  } while (got < 0 && errno == EINTR);
  return got < 0 ? 0 : static_cast<size_t>(got);
}

}  // namespace wherry::runtime
