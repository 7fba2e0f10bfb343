#include "agent/cli/progress_bar.h"

#include <algorithm>
#include <vector>

#include "agent/cli/table.h"
#include "agent/cli/text_width.h"
#include "base/quantity.h"
#include "base/text.h"

namespace wherry::cli {
namespace {

constexpr Duration kPlainEvery = std::chrono::seconds(30);
constexpr Duration kPlainApart = std::chrono::seconds(2);
constexpr size_t kLeastBar = 10, kMostBar = 40;

int percent_of(const Progress& progress) {
  const auto done = std::clamp<int64_t>(progress.done, 0, progress.total);
  return static_cast<int>(static_cast<double>(done) / static_cast<double>(progress.total) * 100.0);
}

// At the left what is shorter than `width`, so that what follows stands still.
std::string right(std::string text, size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text;
}

// "1.2 MiB/s  1m36s left", or what else there is to say of the rate.
std::string pace(const Progress& progress) {
  if (progress.done >= progress.total) return "  unpacking";
  if (progress.per_second <= 0) return "  waiting for data";
  const auto left =
      std::chrono::seconds((progress.total - progress.done) / progress.per_second + 1);
  return right(format_bytes(progress.per_second) + "/s", 14) + "  " + human_duration(left) +
         " left";
}

std::string bar(int percent, size_t columns) {
  const size_t full = columns * static_cast<size_t>(percent) / 100;
  std::string text(full, '=');
  if (full < columns) text += '>';
  text.resize(columns, ' ');
  return "[" + text + "] ";
}

}  // namespace

std::string render_progress(const Progress& progress, size_t width) {
  if (progress.total <= 0) {
    std::string text = progress.done > 0 ? format_bytes(progress.done) + " so far" : "waiting";
    if (progress.per_second > 0) text += right(format_bytes(progress.per_second) + "/s", 14);
    return cut_to_width(text, width);
  }
  const int percent = percent_of(progress);
  const std::string total = format_bytes(progress.total);
  const std::string head = right(std::to_string(percent), 3) + " % ";
  // The widest that any progress of this image makes it: the bar must not dance.
  constexpr size_t kWidestPace = 14 + 2 + 6 + 5;
  constexpr size_t kWidestBytes = 10;
  const size_t taken = head.size() + 3 + kWidestBytes + 4 + total.size() + kWidestPace;
  std::string text = head;
  if (width >= taken + kLeastBar) text += bar(percent, std::min(kMostBar, width - taken));
  text += right(format_bytes(std::min(progress.done, progress.total)), kWidestBytes) + " of " +
          total + pace(progress);
  return cut_to_width(text, width);
}

void ProgressBar::show(const Progress& progress) {
  if (io_.width > 0 && io_.redraws) {
    // One column is left free: a terminal would go to the next line.
    const std::string line = render_progress(progress, io_.width - 1);
    std::fprintf(io_.out, "\r%s\x1b[K", line.c_str());
    std::fflush(io_.out);
    drawn_ = true;
    return;
  }
  const MonoTime now = io_.clock.now();
  const int tenths = progress.total > 0 ? percent_of(progress) / 10 : -1;
  const bool first = told_at_ == MonoTime{};
  const bool due =
      first || (tenths > told_ && now - told_at_ >= kPlainApart) || now - told_at_ >= kPlainEvery;
  if (!due) return;
  told_ = tenths;
  told_at_ = now;
  const size_t width = io_.width > 0 ? io_.width : kLeastBar + 60;
  std::fprintf(io_.out, "%s\n", render_progress(progress, width).c_str());
  std::fflush(io_.out);
}

void ProgressBar::finish() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", io_.out);
  std::fflush(io_.out);
  drawn_ = false;
}

}  // namespace wherry::cli
