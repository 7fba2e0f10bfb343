#include "telemetry/outbox/log_mark.h"

#include <cinttypes>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/file_access.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sqlite/log_check.h"

namespace wherry::telemetry {
namespace {

// 64 KiB of the log, to which a page of the mark adds little.
constexpr uint64_t kStep = 16;

// Instead of salts and frames.
constexpr const char* kLoss = "records are missing\n";

// Of the same length whatever it says, so that it is overwritten in place.
std::string text_of(const std::string& salts, uint64_t frames) {
  char number[24];
  std::snprintf(number, sizeof number, " %010" PRIu64 "\n", frames);
  return base64_encode(salts) + number;
}

}  // namespace

bool LogMark::records_are_missing() const {
  const auto log = sqlite::read_log(database_);
  if (!log) return true;
  const auto mark = read_file(path());
  if (!mark) return false;
  if (!*log || *mark == kLoss) return true;
  const sqlite::LogEnd& end = **log;
  uint64_t frames = 0;
  const std::string salts = base64_encode(end.salts);
  return mark->starts_with(salts) &&
         std::sscanf(mark->c_str() + salts.size(), "%" SCNu64, &frames) == 1 && end.frames < frames;
}

Status LogMark::note_loss() {
  // One that is there already may not be on the disk yet.
  if (Status noted = write_file_atomic(path(), kLoss, 0600); !noted) {
    return fail(noted.error(), "note that records are missing");
  }
  return {};
}

Status LogMark::note_written_back() {
  // Should a power cut bring the log back, with no note of the loss, it would be taken for sound.
  const Fd log(open((database_ + "-wal").c_str(), O_RDONLY | O_CLOEXEC));
  if (!log.valid() || fsync(log.get()) != 0)
    return fail(Code::Internal, "sync " + database_ + "-wal");
  return remove_for_good();
}

Status LogMark::remove_for_good() {
  remove();
  return sync_directory(directory_of(database_));
}

void LogMark::note(uint64_t frames) {
  if (!log_.valid()) log_ = Fd(open((database_ + "-wal").c_str(), O_RDONLY | O_CLOEXEC));
  std::string salts(sqlite::kLogSalts, '\0');
  const ssize_t got = pread(log_.get(), salts.data(), salts.size(), sqlite::kLogSaltsAt);
  if (got != static_cast<ssize_t>(salts.size())) return;
  if (salts == salts_ && frames >= frames_ && frames < frames_ + kStep) return;
  const std::string text = text_of(salts, frames);
  Status noted;
  if (!mark_.valid()) {
    noted = write_file_atomic(path(), text, 0600);
    if (noted) mark_ = Fd(open(path().c_str(), O_WRONLY | O_CLOEXEC));
  } else if (pwrite(mark_.get(), text.data(), text.size(), 0) !=
             static_cast<ssize_t>(text.size())) {
    noted = fail(Code::Internal, "write " + path());
  }
  // Without it nothing is worse than that records that go missing are not missed.
  if (!noted) log_debug("the outbox's use is not noted", {{"error", noted.error().full()}});
  salts_ = salts;
  frames_ = frames;
}

void LogMark::remove() {
  unlink(path().c_str());
  forget();
}

void LogMark::forget() {
  mark_ = Fd();
  log_ = Fd();
  salts_.clear();
}

}  // namespace wherry::telemetry
