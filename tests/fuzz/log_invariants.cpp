#include <cstdlib>
#include <fstream>
#include <unistd.h>
#include <vector>

#include <nlohmann/json.hpp>

#include "agent/forward/log_record.h"
#include "base/text.h"
#include "runtime/log/log_tail.h"
#include "runtime/log/logger/rotating_file.h"
#include "tests/fuzz/upstream_invariants.h"

namespace wherry {
namespace {

using nlohmann::json;

constexpr char kBetweenFiles = '\x1e';

// A log in a directory that goes with it.
class LogOnDisk {
 public:
  explicit LogOnDisk(std::string_view text) {
    char name[] = "/tmp/wherry-log-XXXXXX";
    directory_ = mkdtemp(name);
    std::vector<std::string> files = split(text, kBetweenFiles);
    if (files.size() > logger::kFiles) files.resize(logger::kFiles);
    for (size_t i = 0; i < files.size(); ++i) {
      const size_t n = files.size() - 1 - i;
      names_.push_back(path() + (n == 0 ? "" : "." + std::to_string(n)));
      std::ofstream(names_.back(), std::ios::binary) << files[i];
    }
  }
  ~LogOnDisk() {
    for (const std::string& name : names_) unlink(name.c_str());
    rmdir(directory_.c_str());
  }
  LogOnDisk(const LogOnDisk&) = delete;
  LogOnDisk& operator=(const LogOnDisk&) = delete;
  std::string path() const { return directory_ + "/c.log"; }

 private:
  std::string directory_;
  std::vector<std::string> names_;
};

std::string broken_record(const runtime::LogLine& line) {
  const std::string record = log_record(line);
  const json read = json::parse(record, nullptr, false);
  if (!read.is_object() || !read["message"].is_string()) return "no record: " + record;
  if (record.size() > kMostLogRecord || record.find('\n') != std::string::npos) return "too large";
  if (read["at"] != line.time) return "another time";
  const bool marked = read.contains("cut") || read.contains("invalidUtf8");
  if (!marked && read["message"] != line.text) return "another message, unmarked: " + record;
  return line.cut && !read.contains("cut") ? "cut, unmarked" : "";
}

// In a life of its own for each `step` lines; they are added to `lines`.
std::string read_in_steps(const std::string& path, size_t step, std::vector<std::string>& lines) {
  runtime::LogPlace place;
  while (true) {
    runtime::LogTail tail(path);
    if (!tail.open(place)) return "it cannot be read";
    // All that there is was there from the beginning, but who begins does not know.
    if (tail.pass_gap() && !place.began.empty()) return "lines are missed at " + to_text(place);
    size_t taken = 0;
    for (; taken < step; ++taken) {
      const runtime::LogLine* line = tail.next();
      if (line == nullptr && tail.pass_gap()) return "lines are missed within";
      if (line == nullptr) break;
      if (std::string broken = broken_record(*line); !broken.empty()) return broken;
      lines.push_back(std::string(line->time) + (line->is_stderr ? "!" : " ") +
                      std::string(line->text) + (line->cut ? "…" : ""));
    }
    const auto kept = runtime::parse_log_place(to_text(tail.place()));
    if (!kept || *kept != tail.place()) return "no place: " + to_text(tail.place());
    place = *kept;
    if (taken < step) return {};
  }
}

}  // namespace

std::string broken_log(std::string_view text) {
  if (const auto place = runtime::parse_log_place(text)) {
    const auto again = runtime::parse_log_place(to_text(*place));
    if (!again || (*again != *place && !place->began.empty())) return "another place";
  }
  const LogOnDisk log(text);
  std::vector<std::string> all;
  if (std::string broken = read_in_steps(log.path(), SIZE_MAX, all); !broken.empty()) return broken;
  for (const size_t step : {size_t{1}, size_t{3}}) {
    std::vector<std::string> lines;
    if (std::string broken = read_in_steps(log.path(), step, lines); !broken.empty()) return broken;
    if (lines != all) return "read in steps of " + std::to_string(step) + " it has other lines";
  }
  return {};
}

}  // namespace wherry
