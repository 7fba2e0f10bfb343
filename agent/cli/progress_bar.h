#pragma once
// A pull's progress for people: one line that is redrawn on a terminal, lines now and then
// elsewhere.

#include <cstdint>
#include <optional>
#include <string>

#include "agent/cli/cli.h"
#include "base/clock.h"

namespace wherry::cli {

// Bytes; a total of 0: not known yet.
struct Progress {
  int64_t done = 0, total = 0, per_second = 0;
};

// At most `width` columns:
// " 45 % [=====>       ]   94.5 MiB of 210.0 MiB    1.2 MiB/s  1m36s left"; the bar goes first
// where there is no room.
std::string render_progress(const Progress& progress, size_t width);

// Used by one thread. What is on the screen is ended by finish() or the destructor.
class ProgressBar {
 public:
  explicit ProgressBar(const Io& io) : io_(io) {}
  ~ProgressBar() { finish(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const Progress& progress);
  void finish();  // wipes the line, so that what happened in the end takes its place

 private:
  const Io& io_;
  bool drawn_ = false;
  int told_ = -1;  // tenths of the whole, in the last plain line
  MonoTime told_at_{};
};

}  // namespace wherry::cli
