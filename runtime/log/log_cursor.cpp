#include "runtime/log/log_cursor.h"

#include <algorithm>
#include <unistd.h>

#include "runtime/log/cri_line.h"

namespace wherry::runtime {
namespace {

constexpr size_t kChunk = 32 * 1024;
constexpr size_t kMaxRaw = 64 * 1024;      // a record is at most 16 KiB and its header
constexpr size_t kMaxJoined = 256 * 1024;  // longer lines are handed on in pieces

// Ends of whole lines are counted, not records: a record tagged P does not end one.
bool ends_a_line(std::string_view record) {
  CriLine line;
  return parse_cri_line(record, line) && line.full;
}

}  // namespace

Status LogCursor::open(int64_t tail) {
  if (Status opened = refresh(); !opened) return opened;
  if (tail >= 0) seek_to_tail(tail);
  return {};
}

// Backwards in chunks: the cost depends on how much is shown, not on how much there is.
void LogCursor::seek_to_tail(int64_t lines) {
  int64_t found = 0;  // ends of lines seen from the back
  std::deque<LogFiles::File>& files = files_.all();
  for (size_t index = files.size(); index-- > 0;) {
    LogFiles::File& file = files[index];
    off_t position = lseek(file.fd.get(), 0, SEEK_END);
    std::string tail;  // from `position` to the start of the record after it
    while (position > 0) {
      const off_t begin = std::max<off_t>(0, position - static_cast<off_t>(kChunk));
      std::string chunk(static_cast<size_t>(position - begin), '\0');
      if (read_at(file.fd.get(), chunk.data(), chunk.size(), begin) != chunk.size()) break;
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
          files.erase(files.begin(), files.begin() + static_cast<long>(index));
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
    if (files_.read_onto(raw_, kChunk)) return true;
    if (files_.size() == 1) return false;
    files_.drop_front();
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

}  // namespace wherry::runtime
