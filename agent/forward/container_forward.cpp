#include "agent/forward/container_forward.h"

#include <utility>

#include "agent/forward/log_record.h"
#include "base/failpoint.h"

namespace wherry {
namespace {

// Bytes of one append: what the smallest queue takes at once.
constexpr size_t kAtOnce = 32 << 10;
// What a line costs beside its text: as much as it takes around it.
constexpr size_t kLineCost = 64;

}  // namespace

ContainerForward::ContainerForward(std::string path, std::string stream,
                                   const ForwardLimits& limits, telemetry::Telemetry& telemetry)
    : path_(std::move(path)), stream_(std::move(stream)), limits_(limits), telemetry_(telemetry) {}

Status ContainerForward::open() {
  kept_ = runtime::parse_log_place(telemetry_.cursor(stream_)).value_or(runtime::LogPlace{});
  tail_.emplace(path_);
  rate_.emplace(limits_.rate, limits_.rate * limits_.burst_seconds);
  return tail_->open(kept_);
}

void ContainerForward::start_over() {
  tail_.reset();
  lines_ = {};
  lost_ = 0;
  held_.reset();
}

Result<bool> ContainerForward::forward(LogForward mode, bool settle) {
  Result<bool> more = read(mode);
  Status done = more ? Status() : Status(fail(more.error()));
  if (done && !*more && settle) done = this->settle();
  if (done) return more;
  start_over();
  return fail(done.error());
}

Result<const runtime::LogLine*> ContainerForward::next() {
  for (bool looked = false;;) {
    if (const runtime::LogLine* line = tail_->next()) return line;
    if (tail_->pass_gap()) {
      if (Status noted = note_rotated(); !noted) return fail(noted.error());
    } else if (std::exchange(looked, true)) {
      return nullptr;
    } else if (Status seen = tail_->refresh(); !seen) {
      return fail(seen.error());
    }
  }
}

Result<bool> ContainerForward::read(LogForward mode) {
  if (!tail_) {
    if (Status opened = open(); !opened) return fail(opened.error());
  }
  bool more = true;
  for (size_t read = 0; read < limits_.turn;) {
    const auto line = next();
    if (!line) return fail(line.error());
    more = *line != nullptr;
    if (!more) break;
    read += (*line)->text.size() + kLineCost;
    if (mode == LogForward::Errors && !(*line)->is_stderr) continue;
    if (Status taken = take(**line); !taken) return fail(taken.error());
  }
  if (Status kept = keep(); !kept) return fail(kept.error());
  return more;
}

Status ContainerForward::take(const runtime::LogLine& line) {
  if (!rate_->take(static_cast<int64_t>(line.text.size() + kLineCost), line.time)) {
    if (Status kept = keep(); !kept) return kept;
    if (lost_++ == 0) reason_ = kRateLimited;
    if (!held_) held_.emplace();
    held_->time.assign(line.time);
    held_->text.assign(line.text);
    held_->is_stderr = line.is_stderr;
    held_->cut = line.cut;
    return {};
  }
  const std::string record = log_record(line);
  if (!lines_.empty() && lines_.text.size() + record.size() >= kAtOnce) {
    if (Status kept = keep(); !kept) return kept;
  }
  lines_.add(record);
  place_ = tail_->place();
  return {};
}

// What has gathered, with what was lost before it and where it ends: all or nothing.
Status ContainerForward::keep() {
  if (lines_.empty()) return {};
  const auto kept =
      telemetry_.append(stream_, std::exchange(lines_, {}),
                        {.lost = lost_, .reason = reason_, .cursor = runtime::to_text(place_)});
  if (!kept) return fail(kept.error());
  kept_ = place_;
  lost_ = 0;
  held_.reset();
  return failpoint("logs.forward.kept");
}

// The last line of those that were left out goes all the same: the others are announced with it.
Status ContainerForward::release() {
  if (!held_) return {};
  lines_.add(log_record({held_->time, held_->text, held_->is_stderr, held_->cut}));
  place_ = tail_->place();
  --lost_;
  return keep();
}

Status ContainerForward::note_rotated() {
  Status done = keep();
  if (done) done = release();
  if (lost_++ == 0) reason_ = kLogRotated;
  return done;
}

Status ContainerForward::settle() {
  if (Status released = release(); !released) return released;
  const runtime::LogPlace& place = tail_->place();
  if (place.began == kept_.began && place.inode == kept_.inode) return {};
  // What is missing goes with the next record; but a first look is not repeated for ever.
  if (lost_ > 0 && !kept_.began.empty()) return {};
  // Nothing of this file was worth a record. Without a place in it, one day it would look as if
  // something had been missed.
  const auto kept = telemetry_.append(stream_, {}, {.cursor = runtime::to_text(place)});
  if (!kept) return fail(kept.error());
  kept_ = place;
  return {};
}

}  // namespace wherry
