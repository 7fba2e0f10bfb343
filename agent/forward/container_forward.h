#pragma once
// One container's log on its way into its queue. How far it has been read is kept with the records.

#include <optional>
#include <string>

#include "agent/forward/line_rate.h"
#include "agent/manifest/workload_spec.h"
#include "runtime/log/log_tail.h"
#include "telemetry/telemetry.h"

namespace wherry {

// Why lines are missing, beside what a queue has for reasons.
inline constexpr const char* kRateLimited = "RateLimited";
inline constexpr const char* kLogRotated = "LogRotated";  // how many is not known: counts as one

struct ForwardLimits {
  int64_t rate = 16 << 10;     // of a container, bytes a second
  int64_t burst_seconds = 32;  // that much of it at once
  size_t turn = 1 << 20;       // bytes read at once, so that others have theirs
};

// A line that outlives what it was read from.
struct HeldLine {
  std::string time, text;
  bool is_stderr = false, cut = false;
};

// Not thread-safe. `telemetry` must outlive it.
class ContainerForward {
 public:
  ContainerForward(std::string path, std::string stream, const ForwardLimits& limits,
                   telemetry::Telemetry& telemetry);

  // Reads on and hands on what may go; true: there is more to read. `settle`: also says what has
  // been left out so far, by sending the last line of it. Errors are those of the queue and of the
  // disk; the next call begins where records were kept last.
  Result<bool> forward(LogForward mode, bool settle);

 private:
  Status open();
  Result<bool> read(LogForward mode);
  Result<const runtime::LogLine*> next();
  Status take(const runtime::LogLine& line);
  Status keep();
  Status release();
  Status settle();
  Status note_rotated();
  void start_over();

  const std::string path_, stream_;
  const ForwardLimits limits_;
  telemetry::Telemetry& telemetry_;
  std::optional<LineRate> rate_;
  std::optional<runtime::LogTail> tail_;
  runtime::LogPlace kept_;   // with the records
  telemetry::Lines lines_;   // not kept yet …
  runtime::LogPlace place_;  // … and where they end
  uint64_t lost_ = 0;        // before them, or, where there are none, up to now
  const char* reason_ = kRateLimited;
  std::optional<HeldLine> held_;  // the last of those
};

}  // namespace wherry
