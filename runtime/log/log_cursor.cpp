#include "runtime/log/log_cursor.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "runtime/log/cri_line.h"
#include "runtime/log/logger/rotating_file.h"

namespace wherry::runtime {
namespace {

constexpr size_t kChunk = 32 * 1024;
constexpr size_t kMaxRaw = 64 * 1024;      // a record is at most 16 KiB and its header
constexpr size_t kMaxJoined = 256 * 1024;  // longer lines are handed on in pieces

bool same_file(int a, int b) {
  struct stat x {};
  struct stat y {};
  return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

ssize_t read_at(int fd, char* into, size_t size, off_t offset) {
  ssize_t got = 0;
  do {
    got = pread(fd, into, size, offset);
  } while (got < 0 && errno == EINTR);
  return got;
}

// Ends of whole lines are counted, not records: a record tagged P does not end one.
bool ends_a_line(std::string_view record) {
  CriLine line;
  return parse_cri_line(record, line) && line.full;
}

}  // namespace

LogCursor::~LogCursor() {
  for (const File& file : files_) close(file.fd);
}

LogCursor::LogCursor(LogCursor&& other) noexcept
    : path_(std::move(other.path_)),
      files_(std::exchange(other.files_, {})),
      raw_(std::move(other.raw_)),
      joining_(std::move(other.joining_)),
      ready_(std::move(other.ready_)) {}

// From the newest name to older ones, so that a rotation meanwhile shows a file twice rather than
// hiding one; an open file keeps its inode number from being used again.
Status LogCursor::open_newer_than_last() {
  std::vector<int> newest_first;
  Status result;
  for (int n = 0; n < logger::kFiles; ++n) {
    char name[logger::kMaxPath];
    logger::numbered_path(path_.c_str(), n, name);
    const int fd = ::open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
      if (errno == ENOENT) continue;
      result = fail(Code::Internal, std::string("open ") + name + ": " + std::strerror(errno));
      break;
    }
    if (!files_.empty() && same_file(fd, files_.back().fd)) {
      close(fd);
      break;
    }
    const bool seen = std::any_of(newest_first.begin(), newest_first.end(),
                                  [fd](int other) { return same_file(fd, other); });
    if (seen) {
      close(fd);
    } else {
      newest_first.push_back(fd);
    }
  }
  for (auto fd = newest_first.rbegin(); fd != newest_first.rend(); ++fd) files_.push_back({*fd, 0});
  return result;
}

Status LogCursor::open(int64_t tail) {
  if (Status opened = open_newer_than_last(); !opened) return opened;
  if (tail >= 0) seek_to_tail(tail);
  return {};
}

// Backwards in chunks: the cost depends on how much is shown, not on how much there is.
void LogCursor::seek_to_tail(int64_t lines) {
  int64_t found = 0;  // ends of lines seen from the back
  for (size_t index = files_.size(); index-- > 0;) {
    File& file = files_[index];
    off_t position = lseek(file.fd, 0, SEEK_END);
    std::string tail;  // from `position` to the start of the record after it
    while (position > 0) {
      const off_t begin = std::max<off_t>(0, position - static_cast<off_t>(kChunk));
      std::string chunk(static_cast<size_t>(position - begin), '\0');
      if (read_at(file.fd, chunk.data(), chunk.size(), begin) != static_cast<ssize_t>(chunk.size()))
        break;
      chunk += tail;
      size_t end = chunk.size();
      while (end > 0) {
        // The record before `end`; its newline is chunk[end - 1].
        const size_t newline = end < 2 ? std::string::npos : chunk.rfind('\n', end - 2);
        if (newline == std::string::npos && begin > 0) break;
        const size_t start = newline == std::string::npos ? 0 : newline + 1;
        const std::string_view record(chunk.data() + start, end - start - 1);
        if (ends_a_line(record) && ++found > lines) {
          file.offset = begin + static_cast<off_t>(end);
          for (size_t older = 0; older < index; ++older) close(files_[older].fd);
          files_.erase(files_.begin(), files_.begin() + static_cast<long>(index));
          return;
        }
        end = start;
      }
      tail = chunk.substr(0, end);
      if (tail.size() > kMaxRaw) return;  // no log of ours: show it from the start
      position = begin;
    }
  }
}

bool LogCursor::read_more() {
  while (!files_.empty()) {
    File& file = files_.front();
    const size_t before = raw_.size();
    raw_.resize(before + kChunk);
    const ssize_t got = read_at(file.fd, raw_.data() + before, kChunk, file.offset);
    raw_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0) {
      file.offset += got;
      return true;
    }
    if (files_.size() == 1) return false;
    close(file.fd);
    files_.pop_front();
    raw_.clear();  // a file ends with a whole record, unless the power went
  }
  return false;
}

void LogCursor::take_line(std::string_view record) {
  CriLine line;
  if (!parse_cri_line(record, line)) return;
  LogEntry& entry = joining_[line.is_stderr ? 1 : 0];
  entry.time = line.time;
  entry.text += line.text;
  if (line.full) entry.text += '\n';
  if (!line.full && entry.text.size() < kMaxJoined) return;
  ready_.push_back(std::move(entry));
  entry = LogEntry();
}

void LogCursor::take_records() {
  size_t begin = 0;
  while (true) {
    const size_t newline = raw_.find('\n', begin);
    if (newline == std::string::npos) break;
    take_line(std::string_view(raw_).substr(begin, newline - begin));
    begin = newline + 1;
  }
  raw_.erase(0, begin);
  if (raw_.size() > kMaxRaw) raw_.clear();
}

const LogEntry* LogCursor::peek() {
  while (ready_.empty() && read_more()) take_records();
  return ready_.empty() ? nullptr : &ready_.front();
}

Status LogCursor::refresh() { return open_newer_than_last(); }

}  // namespace wherry::runtime
