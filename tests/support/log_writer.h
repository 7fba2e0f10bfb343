#pragma once
// Writes logs as wherry-logger does, at times of its own. Needs wherry_logger_parts.

#include <algorithm>
#include <string>
#include <string_view>

#include "runtime/log/logger/line_framer.h"
#include "runtime/log/logger/rotating_file.h"

namespace wherry::test {

class LogWriter {
 public:
  // Seconds of the tests' times count from here on: 2026-09-21T14:13:20Z.
  static constexpr long kBegin = 1'790'000'000;

  explicit LogWriter(const std::string& path, int64_t max = 10 << 20)
      : file_(path.c_str(), max), sink_(file_) {}
  void say(std::string_view text, long at, bool is_stderr = false) {
    logger::LineFramer& framer = is_stderr ? err_ : out_;
    while (!text.empty()) {
      const size_t count = std::min(text.size(), framer.space_size());
      text.copy(framer.space(), count);
      framer.take(count, {kBegin + at, 0}, sink_);
      text.remove_prefix(count);
    }
  }
  void end(long at) {
    out_.finish({kBegin + at, 0}, sink_);
    err_.finish({kBegin + at, 0}, sink_);
  }

 private:
  logger::RotatingFile file_;
  logger::RecordSink sink_;
  logger::LineFramer out_{false};
  logger::LineFramer err_{true};
};

}  // namespace wherry::test
