#include "runtime/log/log_tail.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>
#include <vector>

#include "base/text.h"
#include "runtime/log/cri_line.h"

namespace wherry::runtime {
namespace {

constexpr size_t kChunk = 64 * 1024;
constexpr size_t kMaxRaw = 64 * 1024;  // a record is at most 16 KiB and its header
constexpr size_t kTime = 30;

// Of what is no record: files that are damaged at their beginning are told by their inode only.
constexpr std::string_view kNoTime = "?";

std::string_view time_of(std::string_view record) {
  CriLine line;
  return parse_cri_line(record, line) ? line.time : kNoTime;
}

// "" for an empty file.
std::string began(int fd) {
  char head[48];
  const size_t got = read_at(fd, head, sizeof head, 0);
  if (got == 0) return {};
  return std::string(time_of(std::string_view(head, std::min(got, sizeof head))));
}

// Whether the record that ends at `place` is the one that was taken last there.
bool holds(int fd, const LogPlace& place) {
  const auto size = static_cast<size_t>(std::min<int64_t>(place.offset, kMaxRaw));
  std::string before(size, '\0');
  const auto begin = static_cast<off_t>(place.offset) - static_cast<off_t>(size);
  if (size == 0 || read_at(fd, before.data(), size, begin) != size) return false;
  if (before.back() != '\n') return false;
  before.pop_back();
  const size_t newline = before.rfind('\n');
  return time_of(newline == std::string::npos ? before : before.substr(newline + 1)) == place.last;
}

template <typename Number>
bool read_number(std::string_view text, Number& into) {
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, into);
  return read.ec == std::errc() && read.ptr == end;
}

bool is_time(std::string_view text) {
  return text == kNoTime ||
         (text.size() == kTime && time_of(std::string(text) + " stdout F ") == text);
}

}  // namespace

std::string to_text(const LogPlace& place) {
  if (place.began.empty()) return {};
  const int cut = (place.out_cut ? 1 : 0) + (place.err_cut ? 2 : 0);
  return place.began + ' ' + std::to_string(place.inode) + ' ' + std::to_string(place.offset) +
         ' ' + place.last + ' ' + std::to_string(cut);
}

std::optional<LogPlace> parse_log_place(std::string_view text) {
  if (text.empty()) return LogPlace{};
  const std::vector<std::string> parts = split(text, ' ');
  if (parts.size() != 5 || !is_time(parts[0]) || !is_time(parts[3])) return std::nullopt;
  LogPlace place;
  int cut = 0;
  if (!read_number(parts[1], place.inode) || !read_number(parts[2], place.offset) ||
      !read_number(parts[4], cut) || place.offset < 0 || cut < 0 || cut > 3) {
    return std::nullopt;
  }
  place.began = parts[0];
  place.last = parts[3];
  place.out_cut = (cut & 1) != 0;
  place.err_cut = (cut & 2) != 0;
  return place;
}

Status LogTail::open(const LogPlace& place) {
  if (Status looked = files_.look(); !looked) return looked;
  place_ = {};
  new_file_ = true;
  if (place.began.empty()) return {};
  std::deque<LogFiles::File>& files = files_.all();
  auto found = files.end();
  for (auto file = files.begin(); file != files.end(); ++file) {
    if (began(file->fd.get()) != place.began) continue;
    const bool same = file->inode == place.inode;
    if (found == files.end() || same) found = file;
    if (same) break;
  }
  if (found == files.end()) {
    // Where the look itself was overtaken, what is before the gap may have been read: it is left
    // to the gap, as no line is to go twice.
    const auto gap = std::find_if(files.rbegin(), files.rend(),
                                  [](const LogFiles::File& file) { return file.after_gap; });
    if (gap != files.rend()) files.erase(files.begin(), std::prev(gap.base()));
    return {};
  }
  files.erase(files.begin(), found);
  files.front().after_gap = false;  // what was written before the place has been read
  if (holds(files.front().fd.get(), place)) {
    place_ = place;
    new_file_ = false;
    files.front().offset = static_cast<off_t>(place.offset);
  } else {
    skip_until_ = place.last;  // a power cut has taken what was written last
  }
  return {};
}

bool LogTail::fill() {
  raw_.erase(0, begin_);
  begin_ = 0;
  if (raw_.size() > kMaxRaw) raw_.clear();
  while (!files_.empty() && !files_.front().after_gap) {
    if (files_.read_onto(raw_, kChunk)) return true;
    if (files_.size() == 1) return false;
    files_.drop_front();
    new_file_ = true;
    raw_.clear();  // a file ends with a whole record, unless the power went
    skip_until_.clear();
  }
  return false;
}

bool LogTail::pass_gap() {
  return !files_.empty() && std::exchange(files_.front().after_gap, false);
}

// False where it is no line to hand on.
bool LogTail::take(std::string_view record) {
  const auto left = static_cast<int64_t>(raw_.size() - begin_);
  const LogFiles::File& file = files_.front();
  const int64_t end = file.offset - left;
  CriLine line;
  const bool good = parse_cri_line(record, line);
  const std::string_view time = good ? line.time : kNoTime;
  if (std::exchange(new_file_, false)) {
    place_.began.assign(end == static_cast<int64_t>(record.size()) + 1 ? time : kNoTime);
    place_.inode = file.inode;
  }
  place_.offset = end;
  place_.last.assign(time);
  if (!good) return false;
  bool& cut = line.is_stderr ? place_.err_cut : place_.out_cut;
  const bool rest = std::exchange(cut, !line.full);
  if (rest) return false;
  if (!skip_until_.empty()) {
    if (line.time <= skip_until_) return false;
    skip_until_.clear();
  }
  line_ = {line.time, line.text, line.is_stderr, !line.full};
  return true;
}

const LogLine* LogTail::next() {
  while (true) {
    const size_t newline = raw_.find('\n', begin_);
    if (newline == std::string::npos) {
      if (!fill()) return nullptr;
      continue;
    }
    const std::string_view record = std::string_view(raw_).substr(begin_, newline - begin_);
    begin_ = newline + 1;
    if (take(record)) return &line_;
  }
}

}  // namespace wherry::runtime
