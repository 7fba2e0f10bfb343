#include "runtime/log/logger/line_framer.h"

#include <cstring>

namespace wherry::logger {
namespace {

void digits(uint64_t value, int count, char* out) {
  for (int i = count - 1; i >= 0; --i) {
    out[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

struct Date {
  uint64_t year;
  uint64_t month;
  uint64_t day;
};

// Days since 1970-01-01 to the Gregorian calendar, in eras of 400 years that begin on 1 March.
Date civil(uint64_t days) {
  days += 719'468;
  const uint64_t era = days / 146'097;
  const uint64_t day_of_era = days % 146'097;
  const uint64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const uint64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const uint64_t march_month = (5 * day_of_year + 2) / 153;
  const uint64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * march_month + 2) / 5 + 1};
}

size_t append_text(char* out, size_t at, const char* text) {
  const size_t length = strlen(text);
  memcpy(out + at, text, length);
  return at + length;
}

}  // namespace

void write_header(const timespec& now, bool is_stderr, bool full, char* out) {
  const uint64_t seconds = now.tv_sec < 0 ? 0 : static_cast<uint64_t>(now.tv_sec);
  const Date date = civil(seconds / 86'400);
  memcpy(out, "0000-00-00T00:00:00.000000000Z stdout F ", kHeader);
  digits(date.year, 4, out);
  digits(date.month, 2, out + 5);
  digits(date.day, 2, out + 8);
  digits(seconds / 3600 % 24, 2, out + 11);
  digits(seconds / 60 % 60, 2, out + 14);
  digits(seconds % 60, 2, out + 17);
  digits(static_cast<uint64_t>(now.tv_nsec), 9, out + 20);
  if (is_stderr) memcpy(out + 31, "stderr", 6);
  if (!full) out[38] = 'P';
}

size_t RecordSink::make_notice(const timespec& now, char* text) const {
  write_header(now, true, true, text);
  size_t at = append_text(text, kHeader, "wherry-logger: ");
  char count[20];
  digits(lost_, sizeof count, count);
  size_t first = 0;
  while (first + 1 < sizeof count && count[first] == '0') ++first;
  memcpy(text + at, count + first, sizeof count - first);
  at += sizeof count - first;
  at = append_text(text, at, " records lost, the log could not be written: ");
  const char* reason = strerrordesc_np(reason_);
  at = append_text(text, at, reason == nullptr || strlen(reason) > 40 ? "error" : reason);
  text[at++] = '\n';
  return at;
}

void RecordSink::write(const iovec* parts, int count, const timespec& now) {
  char notice[192];
  iovec all[1 + 2 * kMaxRecords];
  int first = 1;
  memcpy(all + 1, parts, sizeof(iovec) * static_cast<size_t>(count));
  if (lost_ > 0) {
    all[0] = {notice, make_notice(now, notice)};
    first = 0;
  }
  // With the notice or not at all: on a nearly full disk it must not take the room by itself.
  if (file_.append(all + first, count + 1 - first)) {
    lost_ = 0;
    return;
  }
  reason_ = file_.last_error();
  lost_ += static_cast<uint64_t>(count / 2);
}

void LineFramer::take(size_t count, const timespec& now, RecordSink& sink) {
  char header[kHeader];
  write_header(now, is_stderr_, true, header);
  iovec parts[2 * kMaxRecords];
  int filled = 0;
  const size_t end = used_ + count;
  size_t begin = 0;
  size_t scan = used_;  // what was there before holds no newline
  while (scan < end) {
    const void* found = memchr(buffer_ + scan, '\n', end - scan);
    if (found == nullptr) break;
    const size_t next = static_cast<size_t>(static_cast<const char*>(found) - buffer_) + 1;
    parts[filled++] = {header, kHeader};
    parts[filled++] = {buffer_ + begin, next - begin};
    if (filled == 2 * kMaxRecords) {
      sink.write(parts, filled, now);
      filled = 0;
    }
    begin = scan = next;
  }
  if (filled > 0) sink.write(parts, filled, now);
  used_ = end - begin;
  if (begin > 0) unfinished_ = false;
  if (begin > 0) memmove(buffer_, buffer_ + begin, used_);
  if (used_ < kMaxText) return;
  write_header(now, is_stderr_, false, header);
  buffer_[used_] = '\n';
  iovec partial[2] = {{header, kHeader}, {buffer_, used_ + 1}};
  sink.write(partial, 2, now);
  used_ = 0;
  unfinished_ = true;
}

void LineFramer::finish(const timespec& now, RecordSink& sink) {
  // What is said next in this log, by the container's next attempt, is a line of its own.
  if (used_ == 0 && !unfinished_) return;
  unfinished_ = false;
  char header[kHeader];
  write_header(now, is_stderr_, true, header);
  buffer_[used_] = '\n';
  iovec parts[2] = {{header, kHeader}, {buffer_, used_ + 1}};
  used_ = 0;
  sink.write(parts, 2, now);
}

}  // namespace wherry::logger
