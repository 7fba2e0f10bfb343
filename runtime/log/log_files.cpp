#include "runtime/log/log_files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <sys/stat.h>

#include "runtime/log/logger/rotating_file.h"

namespace wherry::runtime {

namespace {

// Of a look. A rotation may spoil one, but none takes as long as there are names to look at.
constexpr int kTries = 4 * logger::kFiles;

// What the names of a log lead to, one after the other, while the logger may rename all of them.
class Names {
 public:
  Names(const std::string& path, const std::function<void()>& meanwhile)
      : path_(path), meanwhile_(meanwhile) {}

  LogFiles::File open(int n) {
    next(n);
    LogFiles::File file{Fd(::open(name_, O_RDONLY | O_CLOEXEC | O_NOFOLLOW))};
    struct stat info {};
    if (file.fd.valid() && fstat(file.fd.get(), &info) == 0) {
      file.inode = info.st_ino;
      return file;
    }
    note("open");
    return LogFiles::File{Fd()};
  }
  // 0: there is none.
  uint64_t inode(int n) {
    next(n);
    struct stat info {};
    if (lstat(name_, &info) == 0) return info.st_ino;
    note("look at");
    return 0;
  }
  // From the newest name on, which is how files move: it is not missed. kFiles: it has none.
  int find(uint64_t file) {
    int n = 0;
    while (n < logger::kFiles && inode(n) != file) ++n;
    return n;
  }
  bool none(int from, int before) {
    for (int n = from; n < before; ++n) {
      if (inode(n) != 0) return false;
    }
    return true;
  }
  const Status& status() const { return status_; }

 private:
  void next(int n) {
    if (meanwhile_) meanwhile_();
    logger::numbered_path(path_.c_str(), n, name_);
  }
  void note(const char* what) {
    if (errno == ENOENT || !status_) return;
    status_ = fail(Code::Internal, std::string(what) + ' ' + name_ + ": " + std::strerror(errno));
  }

  const std::string& path_;
  const std::function<void()>& meanwhile_;
  char name_[logger::kMaxPath] = {};
  Status status_;
};

}  // namespace

// From file to file, older ones first. A rotation moves the oldest first, so the names never show
// files in another order, and there is one name at most without a file between two that have one.
// So what has the next name that is taken is what was written next, if the file before it kept its
// name all the while. An open file keeps its inode number from being used again.
Status LogFiles::look() {
  Names names(path_, meanwhile_);
  for (int tries = 0; tries < kTries; ++tries) {
    const int at = files_.empty() ? logger::kFiles : names.find(files_.back().inode);
    File next{Fd()};
    int n = at - 1;
    for (; n >= 0; --n) {
      next = names.open(n);
      if (next.fd.valid()) break;
    }
    const bool skipped = !names.none(n + 1, at);
    const bool moved = at < logger::kFiles && names.inode(at) != files_.back().inode;
    if (!names.status()) return names.status();
    if (skipped || moved) continue;
    if (n < 0) break;
    // Once the oldest name is taken it always is. While it is not, no file has gone.
    next.after_gap = at == logger::kFiles && n == logger::kFiles - 1;
    files_.push_back(std::move(next));
  }
  return {};
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
