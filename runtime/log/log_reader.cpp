#include "runtime/log/log_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>

#include "base/clock.h"
#include "runtime/log/directory_watch.h"

namespace wherry::runtime {
namespace {

constexpr size_t kBatch = 32 * 1024;
constexpr std::string_view kSuffix = ".log";

// As many digits as a record has, so that both compare as text.
std::string record_time(WallTime time) {
  if (time == WallTime{}) return {};
  std::string text = to_rfc3339(time);  // with milliseconds
  const long below = static_cast<long>(time.time_since_epoch().count() % 1'000'000);
  char digits[8];
  snprintf(digits, sizeof digits, "%06ldZ", below < 0 ? 0 : below);
  text.pop_back();
  return text + digits;
}

}  // namespace

LogReader::LogReader(std::string directory, const LogQuery& query, const Logs::LineSink& sink,
                     CancelToken cancel)
    : directory_(std::move(directory)),
      query_(query),
      sink_(sink),
      cancel_(std::move(cancel)),
      since_(record_time(query.since)) {}

Status LogReader::find_logs(int64_t tail) {
  DIR* directory = opendir(directory_.c_str());
  if (directory == nullptr) {
    if (errno == ENOENT) return {};
    return fail(Code::Internal, "open " + directory_ + ": " + std::strerror(errno));
  }
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name(entry->d_name);
    if (!name.ends_with(kSuffix)) continue;
    if (!query_.container.empty() && name != query_.container + ".log") continue;
    names.push_back(directory_ + "/" + entry->d_name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  for (std::string& path : names) {
    const bool known = std::any_of(cursors_.begin(), cursors_.end(),
                                   [&](const LogCursor& cursor) { return cursor.path() == path; });
    if (known) continue;
    LogCursor cursor(std::move(path));
    if (Status opened = cursor.open(tail); !opened) return opened;
    cursors_.push_back(std::move(cursor));
  }
  return {};
}

LogCursor* LogReader::earliest() {
  LogCursor* first = nullptr;
  const LogEntry* first_entry = nullptr;
  for (LogCursor& cursor : cursors_) {
    const LogEntry* entry = cursor.peek();
    while (entry != nullptr && entry->time < since_) {
      cursor.pop();
      entry = cursor.peek();
    }
    if (entry == nullptr || (first_entry != nullptr && first_entry->time <= entry->time)) continue;
    first = &cursor;
    first_entry = entry;
  }
  return first;
}

bool LogReader::flush() {
  if (cancel_.cancelled()) return false;
  if (batch_.empty()) return true;
  const bool more = sink_(batch_);
  batch_.clear();
  return more;
}

bool LogReader::print(const LogEntry& entry) {
  if (query_.timestamps) {
    batch_ += entry.time;
    batch_ += ' ';
  }
  batch_ += entry.text;
  return batch_.size() < kBatch || flush();
}

bool LogReader::print_merged() {
  while (LogCursor* cursor = earliest()) {
    if (!print(*cursor->peek())) return false;
    cursor->pop();
  }
  return flush();
}

// Each cursor begins at its own last lines; of them together only the last ones count. They are
// counted first rather than kept: anybody may ask for as many as there are.
Status LogReader::print_tail(bool& more) {
  int64_t skip = -query_.tail;
  if (cursors_.size() > 1) {
    for (LogCursor* cursor = earliest(); cursor != nullptr && !cancel_.cancelled(); ++skip) {
      cursor->pop();
      cursor = earliest();
    }
    cursors_.clear();
    if (Status found = find_logs(query_.tail); !found) return found;
  }
  LogCursor* cursor = earliest();
  for (; cursor != nullptr && skip > 0; --skip) {
    cursor->pop();
    cursor = earliest();
  }
  // What came since it was counted is for who follows.
  for (int64_t left = query_.tail; cursor != nullptr && (query_.follow || left > 0); --left) {
    more = print(*cursor->peek());
    if (!more) return {};
    cursor->pop();
    cursor = earliest();
  }
  more = flush();
  return {};
}

Status LogReader::follow(DirectoryWatch& watch) {
  while (true) {
    const DirectoryWatch::Event event = watch.wait();
    if (event == DirectoryWatch::Event::Cancelled) return {};
    // What was written before a rotation or a removal comes first.
    if (!print_merged() || event == DirectoryWatch::Event::Gone) return {};
    if (event != DirectoryWatch::Event::NamesChanged) continue;
    for (LogCursor& cursor : cursors_) {
      if (Status seen = cursor.refresh(); !seen) return seen;
    }
    if (Status found = find_logs(-1); !found) return found;
    if (!print_merged()) return {};
  }
}

Status LogReader::run() {
  std::unique_ptr<DirectoryWatch> watch;
  if (query_.follow) {
    auto made = DirectoryWatch::make(directory_, cancel_);
    if (!made) return fail(made.error());
    watch = std::move(*made);
  }
  if (Status found = find_logs(query_.tail); !found) return found;
  if (cursors_.empty()) {
    return fail(Code::NotFound, "no log of " + query_.pod +
                                    (query_.container.empty() ? "" : "/" + query_.container));
  }
  bool more = true;
  if (query_.tail < 0) {
    more = print_merged();
  } else if (Status printed = print_tail(more); !printed) {
    return printed;
  }
  if (!more || !watch) return {};
  return follow(*watch);
}

}  // namespace wherry::runtime
